-- finish: the attempt ended with an answer (or an error that is the answer); frees its slot.
-- KEYS[1]  the model's key prefix
-- ARGV     1 worker  2 epoch  3 token  4 state: done, rejected, failed or cancelled
--          5 last frames, packed  6 prompt tokens  7 completion tokens  8 of the prompt's, cached
--          9 what they cost (dispatcher/cost.py)
-- Returns  {'OK'}      also for a call repeated after its reply was cut
--          {'FENCED'}  the attempt is not, or no longer, this worker's; nothing was changed
local REMEMBERED_MS = 1800000  -- so long a worker is taken to have a conversation in its cache

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
local job = read_job(id)
if not job then return {'OK'} end
if redis.call('XADD', K.replies .. job.api, 'NOMKSTREAM', '*', token, ARGV[5]) then
  redis.call('HINCRBY', K.api .. job.api, 'written_bytes', #ARGV[5])
end
stopped_running(job)
settle(job, ARGV[9])

-- Means over about the last sixteen answers: for estimates, and for how soon a slot will be free.
local function learn(name, value)
  local mean = tonumber(redis.call('HGET', K.counters, name) or value)
  redis.call('HSET', K.counters, name, string.format('%.3f', mean + (value - mean) / 16))
end

if state == 'done' then
  local process = redis.call('HGET', K.worker .. worker, 'process') or ''
  for beginning in string.gmatch(job.prefix or '', '%S+') do
    redis.call('SET', K.prefix .. beginning, worker .. ' ' .. process, 'PX', REMEMBERED_MS)
  end
  learn('mean_service_ms', now_ms() - job.claimed_ms)
  learn('mean_prompt_tokens', ARGV[6])
  learn('mean_completion_tokens', ARGV[7])
end
redis.call('HSET', K.job .. id, 'prompt_tokens', ARGV[6], 'completion_tokens', ARGV[7],
  'cached_tokens', ARGV[8], 'cost', ARGV[9])
end_job(id, state)
return {'OK'}
