-- reap: recover what dead bridges held, end what is past its deadline, forget dead apis. Any process
-- may call it at any time; it acts once in 900 ms.
-- KEYS[1]  the model's key prefix
-- ARGV     1 lease ms  2 most workers, apis and deadlines handled in one call, each
-- Returns  {'IDLE'}            another process has just been here
--          {'EXTENDED'}        nobody was here for half a lease, or 2 s (an outage, a clock step): every
--                              lease is extended, since no one can tell who is dead
--          {'OK', {worker, jobs given back, 'died' or 'left', …}, jobs given back in all, deadlines,
--                 {api, …}, damaged, what}  a bridge that 'left' has said so (`WorkerSession.leave`). The last
--                              two only where jobs were found damaged since the last reap: how many, and of the
--                              last one what
-- A worker leaves `workers` last, when nothing of it is left. Of one with very many jobs some are left to the
-- next ticks; it is fenced already. What can't be read is retired, by itself, and then all is counted anew.
local NOT_RESUMED = '{"code":"worker_failed","message":"The worker was lost in the middle of its '
  .. 'answer. Please send the request again."}'

local now, lease, limit = now_ms(), tonumber(ARGV[1]), ARGV[2]
local last = tonumber(redis.call('HGET', K.counters, 'reaped_ms') or '0')
if now >= last and now - last < 900 then return {'IDLE'} end
redis.call('HDEL', K.counters, 'reaped_ms')  -- a removal first passes at maxmemory
redis.call('HSET', K.counters, 'reaped_ms', digits(now))
-- Leases are renewed every quarter of one: who could not for a half comes just in time with the rest.
if now < last or now - last > math.max(lease / 2, 2000) then
  for _, leases in ipairs({K.workers, K.apis}) do
    for _, id in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
      -- After an outage a longer lease stays; after a step back of the clock all are too long.
      redis.call('ZADD', leases, 'XX', now < last and 'CH' or 'GT', digits(now + lease), id)
    end
  end
  return {'EXTENDED'}
end

local function due(key)
  return redis.call('ZRANGEBYSCORE', key, '-inf', digits(now), 'LIMIT', 0, limit)
end

local apis = due(K.apis)
for _, api in ipairs(apis) do
  redis.call('ZREM', K.apis, api)
  redis.call('DEL', K.replies .. api, K.api .. api)
end

local gone, recovered = {}, 0

local function recover_one(worker, token)
  take_off(worker, token)
  recover(token, now, '{"code":"worker_failed","message":"The worker stopped answering."}')
end

local function bury(worker)
  local how = fields_of(K.worker .. worker, 'health')[1] == 'left' and 'left' or 'died'
  redis.call('DEL', K.worker .. worker)  -- it is fenced, and nobody calls it
  redis.call('HDEL', K.speeds, worker)
  local tokens = try('ZRANGE', K.running .. worker, 0, MOST_RECOVERED - 1) or {}
  for _, token in ipairs(tokens) do
    guarded(recover_one, worker, token)
    recovered = recovered + 1
  end
  if #tokens == MOST_RECOVERED then return end
  redis.call('DEL', K.worker .. worker, K.running .. worker, K.cancels .. worker,
    K.bell_of .. worker, K.prefers .. worker)
  redis.call('ZREM', K.workers, worker)
  for _, word in ipairs({worker, #tokens, how}) do gone[#gone + 1] = word end
end

for _, worker in ipairs(due(K.workers)) do
  if recovered >= MOST_RECOVERED then break end
  guarded(bury, worker)
end

local function cancel_overdue(id, job)
  redis.call('HSET', K.job .. id, 'cancelled', 1)
  redis.call('ZADD', K.cancels .. job.worker, 0, id .. ':' .. job.attempt)
  redis.call('PEXPIRE', K.cancels .. job.worker, WORKER_TTL_MS)
end

-- Its worker is not known, or does not have it.
local function end_astray(id, job)
  redis.call('HSET', K.counters, 'recount', 1)
  take_off(job.worker, id .. ':' .. job.attempt)
  stopped_running(job)
  charge(job, job.estimate, 0)
  tell(job.api, id .. ':' .. job.attempt, 'expired', '{}')
  end_job(id, 'expired')
end

local function is_at_work(id, job)
  return redis.call('EXISTS', K.worker .. job.worker) == 1
      and redis.call('ZSCORE', K.running .. job.worker, id .. ':' .. job.attempt)
end

local function end_overdue(id, job)
  if job.state == 'queued' then
    end_queued(id, job, 'expired')
  elseif job.state == 'running' and tonumber(job.deadline_ms) > now then
    redis.call('ZADD', K.deadlines, job.deadline_ms, id)  -- it was claimed in time: a longer one counts
  elseif job.state == 'lost' then
    tell(job.api, job.attempt and id .. ':' .. job.attempt or unclaimed(id, job), 'failed', NOT_RESUMED)
    end_job(id, 'failed')
  elseif job.state == 'running' and is_at_work(id, job) then
    cancel_overdue(id, job)
  elseif job.state == 'running' then
    end_astray(id, job)
  end
end

local deadlines = due(K.deadlines)
for _, id in ipairs(deadlines) do
  redis.call('ZREM', K.deadlines, id)
  local job = read_job(id)
  if job and job.flaw then retire(id, job.flaw)
  elseif job then work_on(id, nil, nil, end_overdue, id, job) end
end
recount()
call_all()
for tier in pairs(TIER_WEIGHTS) do forget_idle(tier) end
local answer = {'OK', gone, recovered, #deadlines, apis}
local damage = fields_of(K.counters, 'damaged_untold', 'last_damage')
if damage[1] then
  redis.call('HDEL', K.counters, 'damaged_untold')
  answer[6], answer[7] = number(damage[1]), damage[2] or ''
end
return answer
