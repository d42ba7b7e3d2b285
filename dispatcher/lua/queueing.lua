-- How a job enters and leaves the queue and its worker, for the scripts that do it; behind fairness.lua.

local SETBACKS = 2             -- for each attempt that a job may cost, it may meet so many misconfigured servers
local LOST_MS = 10000          -- so long its api may have a job go on that was lost

-- One key for the speeds of all who take jobs: every bridge compares itself with the others.
local function publish_speed(worker)
  local about = fields_of(K.worker .. worker, 'accepting', 'slots', 'prompt_tps', 'decode_tps')
  if about[1] == '1' then
    redis.call('HSET', K.speeds, worker,
      about[2] .. ' ' .. (about[3] or '0') .. ' ' .. (about[4] or '0'))
  else
    redis.call('HDEL', K.speeds, worker)
  end
end

local function supersede_key(job, name)
  return K.supersede .. job.tenant .. '|' .. job.user .. '|' .. name
end

local function enter_queue(id, job)
  redis.call('ZADD', K.queue, 0, job.place)
  redis.call('ZINCRBY', K.classes, 1, job.class)
  redis.call('ZINCRBY', K.waiting, 1, job.tenant)
  redis.call('ZINCRBY', K.waiting_bytes, job.bytes, job.tenant)
  redis.call('HINCRBY', K.counters, 'queued_bytes', job.bytes)
  redis.call('ZADD', K.deadlines, job.wait_until_ms, id)
  classes_seen = nil
  enter_turns(job)
  call_one(job.class)
end

-- Only a queued job can be superseded, so its key ends when it leaves the queue.
local function forget_key(id, job)
  local key = supersede_key(job, job.supersedes)
  if redis.call('GET', key) == id then redis.call('DEL', key) end
end

local function leave_queue(id, job)
  if redis.call('ZREM', K.queue, job.place) == 0 then return end
  if tonumber(redis.call('ZINCRBY', K.classes, -1, job.class)) <= 0 then
    redis.call('ZREM', K.classes, job.class)
    classes_seen = nil
  end
  if tonumber(redis.call('ZINCRBY', K.waiting, -1, job.tenant)) <= 0 then
    redis.call('ZREM', K.waiting, job.tenant)
    redis.call('ZREM', K.waiting_bytes, job.tenant)
  else
    redis.call('ZINCRBY', K.waiting_bytes, digits(0 - job.bytes), job.tenant)
  end
  redis.call('HINCRBY', K.counters, 'queued_bytes', digits(0 - job.bytes))
  if job.supersedes then forget_key(id, job) end
  if job.prefers then redis.call('ZREM', K.prefers .. job.prefers, job.place) end
  leave_turns(job)
end

local function end_queued(id, job, state)
  leave_queue(id, job)
  tell(job.api, unclaimed(id, job), state, '{}')
  end_job(id, state)
end

-- A job that has crashed a server may do it again. One whose client has seen a part of the answer went
-- well for a while: it was rather there when its server crashed, and its client waits for the next token.
local function is_suspect(job)
  return tonumber(job.crashes or '0') > 0 and not job.visible
end

local function begin_running(worker, token, job, now)
  redis.call('ZADD', K.running .. worker, digits(now), token)
  if is_suspect(job) then redis.call('HSET', K.worker .. worker, 'suspect', token) end
  redis.call('HINCRBY', K.counters, 'running', 1)
  local most = tonumber(job.max_tenant_running or '0')
  if most > 0 and redis.call('HINCRBY', K.busy, job.tenant, 1) >= most then park(job.tenant) end
end

-- Returns whether the worker had it.
local function take_off(worker, token)
  if redis.call('ZREM', K.running .. worker, token) == 0 then return false end
  if fields_of(K.worker .. worker, 'suspect')[1] == token then
    redis.call('HDEL', K.worker .. worker, 'suspect')
  end
  return true
end

-- After an attempt was taken off its worker: its tenant may have another one run.
local function stopped_running(job)
  redis.call('HINCRBY', K.counters, 'running', -1)
  local is_bound = tonumber(job.max_tenant_running or '0') > 0
  if is_bound and redis.call('HINCRBY', K.busy, job.tenant, -1) <= 0 then
    redis.call('HDEL', K.busy, job.tenant)
  end
  local capped = redis.call('HDEL', K.counters, 'capped') == 1
  local unparked = is_bound and unpark(job.tenant)
  if unparked or capped then call_all() end
end

-- Takes a job out of the queue or off its worker. What becomes of it then is up to the caller.
local function withdraw(id, job)
  if job.state == 'queued' then
    leave_queue(id, job)
  elseif job.state == 'running' then
    local token = id .. ':' .. job.attempt
    take_off(job.worker, token)
    redis.call('ZADD', K.cancels .. job.worker, 0, token)
    redis.call('PEXPIRE', K.cancels .. job.worker, WORKER_TTL_MS)
    ring_worker(job.worker)
    stopped_running(job)
    charge(job, job.estimate, 0)
  end
end

local function forget_attempt(id, job)
  redis.call('HDEL', K.job .. id, 'attempt', 'worker', 'claimed_ms', 'prefers', 'cached_there',
    'left_since_ms')
  job.prefers = nil
end

local function is_spent(job)
  return tonumber(job.attempts) >= tonumber(job.max_attempts)
      or tonumber(job.crashes) >= tonumber(job.max_crashes)
      or tonumber(job.setbacks or '0') >= SETBACKS * tonumber(job.max_attempts)
end

-- Only the api knows what its client has seen: it may have the job go on from there (resume.lua).
local function keep_lost(id, job, now)
  redis.call('DEL', K.body .. id)
  redis.call('ZADD', K.deadlines, digits(math.min(now + LOST_MS, tonumber(job.deadline_ms))), id)
  redis.call('HSET', K.job .. id, 'state', 'lost')
  redis.call('HINCRBY', K.counters, 'lost', 1)
end
