-- release: the attempt failed for a reason that is not the job's; give the job back.
-- KEYS[1]  the model's key prefix
-- ARGV     1 worker  2 epoch  3 token  4 costs an attempt (1 or 0)  5 the server crashed (1 or 0)
--          6 error as JSON: what the client is told if nobody else may try
--          7 class: what it has been found to need of its worker ('': as before)
--          8 refusal: a hash of what the server said, where that may be the job's fault ('': it is not)
-- Returns  {'OK', verdict}  what became of the job: revoked (queued again), lost, failed, expired,
--                           cancelled, abandoned; gone: the attempt is not, or no longer, this
--                           worker's (a call repeated after its reply was cut); nobody: no live worker
--                           has what the job needs; twice: it got this refusal before, which is
--                           its answer. In the last three cases nothing was changed
--          {'FENCED'}       register again; nothing was changed
local worker, epoch, token, class = ARGV[1], ARGV[2], ARGV[3], ARGV[7]
local id = split_token(token)
if not is_registered(worker, epoch) then return {'FENCED'} end

local function somebody_can_take()
  for _, other in ipairs(redis.call('ZRANGE', K.workers, 0, -1)) do
    if can_take(class, other) then return true end
  end
end

if class ~= '' and not somebody_can_take() then return {'OK', 'nobody'} end
local refusal = ARGV[8] or ''
if refusal ~= '' and fields_of(K.job .. id, 'refusal')[1] == refusal then return {'OK', 'twice'} end
local full = is_full(worker)
if not take_off(worker, token) then return {'OK', 'gone'} end
if full then ring_worker(worker) end
local job = read_job(id)
if job and not job.flaw then
  if ARGV[4] == '0' then redis.call('HINCRBY', K.job .. id, 'attempts', -1) end
  if ARGV[5] == '1' then redis.call('HINCRBY', K.job .. id, 'crashes', 1) end
  if refusal ~= '' then redis.call('HSET', K.job .. id, 'refusal', refusal) end
  if ARGV[4] == '1' then redis.call('HSET', K.job .. id, 'avoids', worker) end
  if class ~= '' then
    local place = class .. string.sub(job.place, #job.class + 1)
    redis.call('HSET', K.job .. id, 'class', class, 'place', place)
  end
end
return {'OK', recover(token, now_ms(), ARGV[6])}
