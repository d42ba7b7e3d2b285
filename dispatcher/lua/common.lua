-- Shared by every script, put in front of it by dispatcher/scripts.py, which also defines
--   K                the model's key names (dispatcher/keys.py); those that end in ':' take an id
--   CLOCK_OFFSET_MS  0, but for tests that move the clock
--   TIER_WEIGHTS     tier → its weight (dispatcher/tier.py)
-- Words: `token` names an attempt: '<job>:<nonce>-<number>-<generation>'. `generation` counts how often the API
-- has submitted a job: of two submissions the newer one wins, whichever comes first. `class` is what a job needs of its worker
-- (dispatcher/needs.py). `place` is a member of the queue: '<class>|<tier>|<tenant>|<user>|<sequence>|<job>',
-- so that the jobs of one user and class lie next to each other, oldest first.
-- Every script gets KEYS[1] = the model's key prefix; further keys are
-- built from it and share its hash tag.

local DONE_TTL_MS = 60000      -- an ended job stays visible, and answers a repeated call, this long
local WORKER_TTL_MS = 600000   -- only for what a reaper never gets to see
local FINAL = {done = true, rejected = true, failed = true, cancelled = true, expired = true,
               superseded = true, dropped = true, abandoned = true}

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

-- Only these fields of a job; the first is one that every job has.
local function read_fields(id, ...)
  local found, job = redis.call('HMGET', K.job .. id, ...), {}
  if not found[1] then return nil end
  for i, name in ipairs({...}) do job[name] = found[i] or nil end
  return job
end

-- Names a job that no attempt holds. What stands behind the last '-' of an attempt is the generation.
local function unclaimed(id, job)
  return id .. ':-' .. (job.generation or '0')
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

-- Whether a worker meets the needs of a class (`Needs.met_by`).
local function can_take(class, worker)
  if class == 'any' then return true end
  local about = redis.call('HMGET', K.worker .. worker, 'context', 'modalities', 'fingerprint')
  for need in string.gmatch(class, '[^,]+') do
    local above, build = string.match(need, '^context>(%d+)$'), string.match(need, '^build=(.*)$')
    if above then
      if tonumber(about[1] or '0') <= tonumber(above) then return false end
    elseif build then
      if about[3] ~= build then return false end
    elseif not string.find(',' .. (about[2] or '') .. ',', ',' .. need .. ',', 1, true) then
      return false
    end
  end
  return true
end

-- Calls one bridge that may take jobs of a class. The bell that all share is only for what all may take:
-- one that may not would have to pass its ring on, and would get it again.
local function call_one(class)
  if class == 'any' then return ring(K.bell) end
  for _, worker in ipairs(redis.call('ZREVRANGE', K.workers, 0, 63)) do
    if can_take(class, worker) and free_slots(worker) > 0 then return ring_worker(worker) end
  end
end

-- A control frame for the api that waits for the job. A dead api's stream is not made anew.
local function tell(api, token, kind, payload)
  local frame = kind .. ' -1 0 ' .. #payload .. '\n' .. payload
  redis.call('XADD', K.replies .. api, 'NOMKSTREAM', '*', token, frame)
end

local function end_job(id, state, ...)
  redis.call('DEL', K.body .. id)
  redis.call('ZREM', K.deadlines, id)
  redis.call('HSET', K.job .. id, 'state', state, ...)
  redis.call('PEXPIRE', K.job .. id, DONE_TTL_MS)
  redis.call('HINCRBY', K.counters, state, 1)
end

