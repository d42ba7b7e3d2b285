-- finish: the attempt ended with an answer (or an error that is the answer); frees its slot.
-- KEYS[1]  the model's key prefix
-- ARGV     1 worker  2 epoch  3 token  4 state: done, rejected, failed or cancelled
--          5 last frames, packed  6 prompt tokens  7 completion tokens
-- Returns  {'OK'}      also for a call repeated after its reply was cut
--          {'FENCED'}  the attempt is not, or no longer, this worker's; nothing was changed
local worker, epoch, token, state = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local id, attempt = split_token(token)
if not is_registered(worker, epoch) then return {'FENCED'} end
local full = is_full(worker)
if redis.call('ZREM', K.running .. worker, token) == 0 then
  local job = redis.call('HMGET', K.job .. id, 'attempt', 'state')
  if job[1] == attempt and FINAL[job[2]] then return {'OK'} end
  return {'FENCED'}
end
if full then ring_worker(worker) end
local api = redis.call('HGET', K.job .. id, 'api')
if not api then return {'OK'} end
if redis.call('XADD', K.replies .. api, 'NOMKSTREAM', '*', token, ARGV[5]) then
  redis.call('HINCRBY', K.api .. api, 'written_bytes', #ARGV[5])
end
redis.call('HSET', K.job .. id, 'prompt_tokens', ARGV[6], 'completion_tokens', ARGV[7])
end_job(id, state)
return {'OK'}
