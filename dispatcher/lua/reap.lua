-- reap: recovers what dead bridges held, ends what is past its deadline, forgets dead apis. Any
-- process may call it at any time; it acts once in 900 ms.
-- KEYS[1]  the model's key prefix
-- ARGV     1 lease ms  2 most workers, apis and deadlines handled in one call, each
-- Returns  {'IDLE'}            another process has just been here
--          {'EXTENDED'}        nobody was here for half a lease, or 2 s (an outage, a clock step):
--                              every lease is extended, since no one can tell who is dead
--          {'OK', {worker, jobs given back, 'died' or 'left', …}, jobs given back in all,
--                 deadlines, {api, …}, damaged, what}  a bridge that 'left' has said so
--                              (`WorkerSession.leave`). The last two only where damaged jobs were
--                              found since the last reap: how many, and what the last one had
-- A worker leaves `workers` last, when nothing of it is left. One with many jobs is fenced, and the
-- next call, which may come at once, goes on with it. What can't be read is retired by itself, and
-- then all is counted again.
-- @include end_queued
-- @include gone
-- @include now_ms
-- @include recount
-- @include call_all
-- @include least_served
-- @include recover
-- @include speeds
-- @include try
-- @include attempt_id_of
-- @include use
local NOT_RESUMED = '{"code":"worker_failed","message":"The worker was lost in the middle of its '
  .. 'answer. Please send the request again."}'

local lease_ms, limit = tonumber(ARGV[1]), ARGV[2]
local now = now_ms()
c.now = now
local last = tonumber(redis.call('HGET', K.counters, 'reaped_ms') or '0')
if now >= last and now - last < 900 then return {'IDLE'} end
redis.call('HDEL', K.counters, 'reaped_ms')  -- a removal first passes at maxmemory
redis.call('HSET', K.counters, 'reaped_ms', now)

-- After an outage a longer lease stays; after a step back of the clock all are too long.
local function extend_all()
  for _, leases in ipairs({K.workers, K.apis}) do
    for _, id in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
      redis.call('ZADD', leases, 'XX', now < last and 'CH' or 'GT', now + lease_ms, id)
    end
  end
end

-- Leases are renewed every quarter of one. A process that could not for a half comes just in time
-- with the rest.
if now < last or now - last > math.max(lease_ms / 2, 2000) then
  extend_all()
  return {'EXTENDED'}
end

local function due(key)
  return redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, limit)
end

local function forget_apis()
  local apis = due(K.apis)
  for _, api in ipairs(apis) do
    redis.call('ZREM', K.apis, api)
    redis.call('DEL', K.replies .. api, K.api .. api)
  end
  return apis
end

local gone, recovered = {}, 0

local function recover_one(worker, attempt_id)
  take_off(worker, attempt_id)
  local failure = '{"code":"worker_failed","message":"The worker stopped answering."}'
  return recover(c, attempt_id, failure)
end

local function bury(worker)
  local how = fields_of(K.worker .. worker, 'health')[1] == 'left' and 'left' or 'died'
  -- So an invitation that has ended ends the leases of its workers (invited_users.py).
  local is_expelled = redis.call('ZSCORE', K.workers, worker) == '1'
  local is_noted = note_gone(c, worker, is_expelled and 'expelled' or how)
  redis.call('DEL', K.worker .. worker)  -- it is fenced, and nobody calls it
  forget_speed(c, worker)
  local most = MOST_RECOVERED - recovered
  local attempt_ids = try('ZRANGE', K.running .. worker, 0, most - 1) or {}
  for _, attempt_id in ipairs(attempt_ids) do
    local is_well, verdict = guarded(c, recover_one, worker, attempt_id)
    recovered = recovered + 1
    if is_noted then count_gone(worker, is_well and verdict or 'failed') end
  end
  if #attempt_ids == most then return end
  redis.call('DEL', K.worker .. worker, K.running .. worker, K.cancels .. worker,
    K.bell_of .. worker, K.prefers .. worker)
  redis.call('ZREM', K.workers, worker)
  for _, word in ipairs({worker, #attempt_ids, how}) do gone[#gone + 1] = word end
end

local function cancel_overdue(id, job)
  redis.call('HSET', K.job .. id, 'cancelled', 1)
  redis.call('ZADD', K.cancels .. job.worker, 0, id .. ':' .. job.attempt)
  redis.call('PEXPIRE', K.cancels .. job.worker, WORKER_TTL_MS)
end

-- Its worker is not known, or does not have it.
local function end_astray(id, job)
  set_counter(c, 'recount', 1)
  take_off(job.worker, id .. ':' .. job.attempt)
  stopped_running(c, job)
  charge(c, job, job.estimate, 0)
  tell(job.api, id .. ':' .. job.attempt, 'expired', '{}')
  end_job(c, id, 'expired', use_shown(c, job, slot_ms_of(c, job)))
end

local function is_at_work(id, job)
  return redis.call('EXISTS', K.worker .. job.worker) == 1
      and redis.call('ZSCORE', K.running .. job.worker, id .. ':' .. job.attempt)
end

local function end_overdue(id, job)
  if job.state == 'queued' then
    end_queued(c, id, job, 'expired')
  elseif job.state == 'running' and tonumber(job.deadline_ms) > now then
    -- It was claimed in time: a longer deadline counts.
    redis.call('ZADD', K.deadlines, job.deadline_ms, id)
  elseif job.state == 'lost' then
    tell(job.api, attempt_id_of(id, job), 'failed', NOT_RESUMED)
    move_gone(job.worker, 'failed')
    end_job(c, id, 'failed', use_shown(c, job))
  elseif job.state == 'running' and is_at_work(id, job) then
    cancel_overdue(id, job)
  elseif job.state == 'running' then
    end_astray(id, job)
  end
end

local function end_overdue_jobs()
  local deadlines = due(K.deadlines)
  for _, id in ipairs(deadlines) do
    redis.call('ZREM', K.deadlines, id)
    local job = read_job(id)
    if job and job.flaw then retire(c, id, job.flaw)
    elseif job then work_on(c, id, nil, nil, end_overdue, id, job) end
  end
  return #deadlines
end

-- Forgets what absent ones were served and are charged, once all that wait were served as much.
local function forget_idle(parent)
  local least = least_served(parent)
  if least then redis.call('ZREMRANGEBYSCORE', K.idle .. parent, '-inf', least) end
end

local function reap()
  local apis = forget_apis()
  for _, worker in ipairs(due(K.workers)) do
    if recovered >= MOST_RECOVERED then break end
    guarded(c, bury, worker)
  end
  local deadlines = end_overdue_jobs()
  recount()
  c.rung = {}
  call_all(c)
  for tier in pairs(TIER_WEIGHTS) do forget_idle(tier) end
  if recovered >= MOST_RECOVERED then  -- the next one goes on at once
    redis.call('HSET', K.counters, 'reaped_ms', now - 900)
  end
  local answer = {'OK', gone, recovered, deadlines, apis}
  read_counters(c, 'damaged_untold', 'last_damage')
  if counted(c, 'damaged_untold') > 0 then
    answer[6], answer[7] = counted(c, 'damaged_untold'), counter(c, 'last_damage') or ''
    set_counter(c, 'damaged_untold', 0)
  end
  return answer
end

return conduct(reap)
