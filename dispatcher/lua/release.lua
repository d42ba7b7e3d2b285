-- release: the attempt failed for a reason that is not the job's; give the job back.
-- KEYS[1]  the model's key prefix
-- ARGV     1 worker  2 epoch  3 token  4 costs an attempt (1 or 0)  5 the server crashed (1 or 0)
--          6 error as JSON: what the client is told if nobody else may try
-- Returns  {'OK', verdict}  what became of the job: revoked (queued again), lost, failed, expired,
--                           cancelled, abandoned; gone: the attempt is not, or no longer, this
--                           worker's (a call repeated after its reply was cut); nothing was changed
--          {'FENCED'}       register again; nothing was changed
local worker, epoch, token = ARGV[1], ARGV[2], ARGV[3]
local id = split_token(token)
if not is_registered(worker, epoch) then return {'FENCED'} end
local full = is_full(worker)
if redis.call('ZREM', K.running .. worker, token) == 0 then return {'OK', 'gone'} end
if full then ring_worker(worker) end
if redis.call('EXISTS', K.job .. id) == 1 then
  if ARGV[4] == '0' then redis.call('HINCRBY', K.job .. id, 'attempts', -1) end
  if ARGV[5] == '1' then redis.call('HINCRBY', K.job .. id, 'crashes', 1) end
end
return {'OK', recover(token, now_ms(), ARGV[6])}
