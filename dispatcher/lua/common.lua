-- Shared by every script, put in front of it by dispatcher/scripts.py, which also defines
--   K                the model's key names (dispatcher/keys.py); those that end in ':' take an id
--   CLOCK_OFFSET_MS  0, but for tests that move the clock
-- Words: `token` names an attempt: '<job>:<attempt>'. `place` is a member of the queue:
-- '<tier>|<tenant>|<sequence>|<job>', so that a tenant's jobs lie next to each other, oldest first.
-- Every script gets KEYS[1] = the model's key prefix, which routes it in a Cluster; further keys are
-- built from it and share its hash tag.

local DONE_TTL_MS = 60000      -- an ended job stays visible, and answers a repeated call, this long
local WORKER_TTL_MS = 600000   -- only for what a reaper never gets to see
local FINAL = {done = true, rejected = true, failed = true, cancelled = true, expired = true,
               lost = true, abandoned = true}

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000) + CLOCK_OFFSET_MS
end

-- Numbers go to Redis as digits: 1e+15 would be a string that nothing can parse.
local function digits(number)
  return string.format('%.0f', number)
end

local function split_token(token)
  return string.match(token, '^(.*):([^:]*)$')
end

local function read_job(id)
  local pairs_ = redis.call('HGETALL', K.job .. id)
  if #pairs_ == 0 then return nil end
  local job = {}
  for i = 1, #pairs_, 2 do job[pairs_[i]] = pairs_[i + 1] end
  return job
end

local function ring(bell)
  redis.call('ZADD', bell, 0, 'ring')
end

local function ring_worker(worker)
  ring(K.bell_of .. worker)
  redis.call('PEXPIRE', K.bell_of .. worker, WORKER_TTL_MS)
end

-- Is this bridge still who it says it is? Only a reaper or a newer registration ends an epoch; the
-- lease time is not compared here, so that an outage of Redis costs nobody their jobs.
local function is_registered(worker, epoch)
  return redis.call('HGET', K.worker .. worker, 'epoch') == epoch
end

-- The removal comes first because a script may then write at `maxmemory` too: leases must not run out
-- when memory does.
local function extend_lease(worker, until_ms)
  redis.call('ZREM', K.workers, worker)
  redis.call('ZADD', K.workers, digits(until_ms), worker)
end

-- Free slots are never stored: they are the slots less the attempts that run.
local function free_slots(worker)
  local about = redis.call('HMGET', K.worker .. worker, 'slots', 'accepting')
  if about[2] ~= '1' then return 0 end
  return math.max(0, tonumber(about[1] or '0') - redis.call('ZCARD', K.running .. worker))
end

-- A full bridge waits on its own bell only, so whoever frees its slot must ring that.
local function is_full(worker)
  local slots = tonumber(redis.call('HGET', K.worker .. worker, 'slots') or '0')
  return redis.call('ZCARD', K.running .. worker) >= slots
end

-- A control frame for the api that waits for the job. A dead api's stream is not made anew.
local function tell(api, token, kind, payload)
  local frame = kind .. ' -1 0 ' .. #payload .. '\n' .. payload
  redis.call('XADD', K.replies .. api, 'NOMKSTREAM', '*', token, frame)
end

local function charge(job, amount)
  local tenants = K.tenants .. job.tier
  if redis.call('ZSCORE', tenants, job.tenant) then
    redis.call('ZINCRBY', tenants, amount, job.tenant)
  elseif redis.call('HEXISTS', K.served, job.tier .. '|' .. job.tenant) == 1 then
    redis.call('HINCRBYFLOAT', K.served, job.tier .. '|' .. job.tenant, amount)
  end
end

-- A tenant that returns starts no earlier than the least served of those who wait.
local function enter_queue(id, job)
  local tenants, flow = K.tenants .. job.tier, job.tier .. '|' .. job.tenant
  redis.call('ZADD', K.queue, 0, job.place)
  redis.call('HINCRBY', K.counters, 'queued_bytes', job.bytes)
  redis.call('ZADD', K.deadlines, job.wait_until_ms, id)
  if not redis.call('ZSCORE', tenants, job.tenant) then
    local least = redis.call('ZRANGE', tenants, 0, 0, 'WITHSCORES')[2]
    local served = redis.call('HGET', K.served, flow) or '0'
    redis.call('HDEL', K.served, flow)
    redis.call('ZADD', tenants, math.max(tonumber(served), tonumber(least or served)), job.tenant)
  end
  ring(K.bell)
end

local function head_of(tier, tenant)
  local flow = '[' .. tier .. '|' .. tenant .. '|'
  local after = '(' .. tier .. '|' .. tenant .. '|\255'
  return redis.call('ZRANGEBYLEX', K.queue, flow, after, 'LIMIT', 0, 1)[1]
end

local function leave_queue(id, job)
  redis.call('ZREM', K.queue, job.place)
  redis.call('ZREM', K.deadlines, id)
  redis.call('HINCRBY', K.counters, 'queued_bytes', digits(0 - job.bytes))
  if not head_of(job.tier, job.tenant) then
    local score = redis.call('ZSCORE', K.tenants .. job.tier, job.tenant)
    redis.call('ZREM', K.tenants .. job.tier, job.tenant)
    if score then redis.call('HSET', K.served, job.tier .. '|' .. job.tenant, score) end
  end
  -- When nobody waits, nobody is behind: else one who was served for long, while others were away,
  -- would wait until they have had as much.
  if redis.call('EXISTS', K.queue) == 0 then redis.call('DEL', K.served) end
end

local function end_job(id, state)
  redis.call('DEL', K.body .. id)
  redis.call('ZREM', K.deadlines, id)
  redis.call('HSET', K.job .. id, 'state', state)
  redis.call('PEXPIRE', K.job .. id, DONE_TTL_MS)
  redis.call('HINCRBY', K.counters, state, 1)
end

-- What becomes of an attempt that ended without an answer and was already taken off its worker:
-- back to its old place, unless nobody waits, its time is up, the client has seen a part of the
-- answer, or it was tried often enough. `error` is what the client is told in the last two cases.
local function recover(token, now, error)
  local id, attempt = split_token(token)
  local job = read_job(id)
  if not job or job.attempt ~= attempt or job.state ~= 'running' then return 'gone' end
  local verdict = 'revoked'
  if redis.call('ZSCORE', K.apis, job.api) == false then verdict = 'abandoned'
  elseif job.cancelled then verdict = 'cancelled'
  elseif tonumber(job.deadline_ms) <= now then verdict = 'expired'
  elseif job.visible then verdict = 'lost'
  elseif tonumber(job.attempts) >= tonumber(job.max_attempts)
      or tonumber(job.crashes) >= tonumber(job.max_crashes) then verdict = 'failed'
  end
  tell(job.api, token, verdict, error)
  if verdict ~= 'revoked' then
    end_job(id, verdict)
    return verdict
  end
  charge(job, '-' .. job.estimate)
  redis.call('HDEL', K.job .. id, 'attempt', 'worker', 'claimed_ms')
  -- It has waited long enough to be claimed once: from here on only its deadline counts.
  job.wait_until_ms = job.deadline_ms
  redis.call('HSET', K.job .. id, 'state', 'queued', 'wait_until_ms', job.wait_until_ms)
  redis.call('HINCRBY', K.counters, 'revoked', 1)
  enter_queue(id, job)
  return verdict
end
