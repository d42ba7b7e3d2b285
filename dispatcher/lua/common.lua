-- Shared by every script, put in front of it by dispatcher/scripts.py, which also defines
--   K                the model's key names (dispatcher/keys.py); those that end in ':' take an id
--   PROTOCOL         the version of what bridges and apis say to each other (dispatcher/protocol.py)
--   CLOCK_OFFSET_MS  0, but for tests that move the clock
--   TIER_WEIGHTS     tier → its weight (dispatcher/tier.py)
-- Words: `token` names an attempt: '<job>:<nonce>-<number>-<generation>'. `generation` counts how often the API
-- has submitted a job: of two submissions the newer one wins, whichever comes first. `class` is what a job
-- needs of its worker (dispatcher/needs.py). `place` is a member of the queue: '<class>|<tier>|<tenant>|<user>|<sequence>|<job>',
-- so that the jobs of one user and class lie next to each other, oldest first.
-- Every script gets KEYS[1] = the model's key prefix; further keys are
-- built from it and share its hash tag.

local DONE_TTL_MS = 60000      -- an ended job stays visible, and answers a repeated call, this long
local WORKER_TTL_MS = 600000   -- only for what a reaper never gets to see
local LARGEST = 1e13           -- no time, size or cost of a job is larger
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

-- The number in a field; `otherwise`, or 0, where it has none. What one worker or job says badly must not
-- fail the others.
local function number(field, otherwise)
  local found = tonumber(field or nil)
  if found and found >= -2 ^ 53 and found <= 2 ^ 53 then return found end
  return otherwise or 0
end

-- Redis refuses all work for now: that is no job's fault, and the caller tries again.
local function raise_refusal(fault)
  local text = type(fault) == 'table' and fault.err or tostring(fault)
  for _, word in ipairs({'OOM ', 'READONLY ', 'MASTERDOWN ', 'NOREPLICAS ', 'MISCONF ', 'NOPERM '}) do
    if string.find(text, word, 1, true) then error(fault, 0) end
  end
end

-- Does the work for one job. Returns whether it went well, and what the work has returned. Where it was
-- done by half, the next reap counts anew (recount.lua).
local function guarded(work, ...)
  local is_well, answer = pcall(work, ...)
  if not is_well then
    raise_refusal(answer)
    redis.call('HSET', K.counters, 'recount', 1)
  end
  return is_well, answer
end

-- A command's answer; nil where the key or its value is not what it should be.
local function try(...)
  local answer = redis.pcall(...)
  if type(answer) ~= 'table' or not answer.err then return answer end
  raise_refusal(answer.err)
end

-- These fields of a hash, each false where there is none.
local function fields_of(key, ...)
  local found = redis.pcall('HMGET', key, ...)
  if not found.err then return found end
  raise_refusal(found.err)
  return {}
end

-- HSET of the pairs among the arguments.
local function set_arguments(key, first, last)
  for i = first, last, 2 do redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
end

local function split_token(token)
  return string.match(token, '^(.*):([^:]*)$')
end

-- Only these fields of a job.
local function read_fields(id, ...)
  local found, job = fields_of(K.job .. id, ...), {}
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
  return fields_of(K.worker .. worker, 'epoch')[1] == epoch
end

-- The removal comes first because a script may then write at `maxmemory` too: leases must not run out
-- when memory does.
local function extend_lease(worker, until_ms)
  redis.call('ZREM', K.workers, worker)
  redis.call('ZADD', K.workers, digits(until_ms), worker)
end

-- Free slots are never stored: they are the slots less the attempts that run.
local function free_slots(worker)
  local about = fields_of(K.worker .. worker, 'slots', 'accepting')
  if about[2] ~= '1' then return 0 end
  return math.max(0, number(about[1]) - redis.call('ZCARD', K.running .. worker))
end

-- A full bridge waits on its own bell only, so whoever frees its slot must ring that.
local function is_full(worker)
  local slots = fields_of(K.worker .. worker, 'slots')[1]
  return redis.call('ZCARD', K.running .. worker) >= number(slots)
end

-- Whether a worker meets the needs of a class (`Needs.met_by`).
local function can_take(class, worker)
  if class == 'any' then return true end
  local about = fields_of(K.worker .. worker, 'context', 'modalities', 'fingerprint')
  for need in string.gmatch(class, '[^,]+') do
    local above, build = string.match(need, '^context>(%d+)$'), string.match(need, '^build=(.*)$')
    if above then
      if number(about[1]) <= tonumber(above) then return false end
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

