-- finish: the attempt ended with an answer (or an error that is the answer); frees its slot.
-- KEYS[1]  the model's key prefix
-- ARGV     1 worker  2 epoch  3 token  4 state: done, rejected, failed or cancelled
--          5 last frames, packed  6 prompt tokens  7 completion tokens  8 of the prompt's, cached
--          9 what they cost (dispatcher/cost.py)
-- Returns  {'OK'}      also for a call repeated after its reply was cut
--          {'FENCED'}  the attempt is not, or no longer, this worker's; nothing was changed
local MEANS = {'mean_service_ms', 'mean_prompt_tokens', 'mean_completion_tokens'}
local REMEMBERED_MS = 1800000  -- so long a worker is taken to have a conversation in its cache

local worker, epoch, token, state = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local id, attempt = split_token(token)
local about = redis.call('HMGET', K.worker .. worker, 'epoch', 'slots', 'process')
if about[1] ~= epoch then return {'FENCED'} end
local full = redis.call('ZCARD', K.running .. worker) >= tonumber(about[2] or '0')
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
local function learn(found)
  local means, news = {}, {mean_service_ms = now_ms() - job.claimed_ms,
    mean_prompt_tokens = ARGV[6], mean_completion_tokens = ARGV[7]}
  for i, name in ipairs(MEANS) do
    local mean = tonumber(found[i] or news[name])
    means[#means + 1], means[#means + 2] = name,
      string.format('%.3f', mean + (news[name] - mean) / 16)
  end
  redis.call('HSET', K.counters, unpack(means))
end

if state == 'done' then
  for beginning in string.gmatch(job.prefix or '', '%S+') do
    redis.call('SET', K.prefix .. beginning, worker .. ' ' .. (about[3] or ''), 'PX', REMEMBERED_MS)
  end
  learn(redis.call('HMGET', K.counters, unpack(MEANS)))
end
end_job(id, state, 'prompt_tokens', ARGV[6], 'completion_tokens', ARGV[7], 'cached_tokens', ARGV[8],
  'cost', ARGV[9])
return {'OK'}
