-- When a worker leaves a job to others; behind queueing.lua, in front of claiming.lua. Reads the
-- arguments of claim.lua.

local LEAST_WORTH_MS = 200     -- so long a job waits at least for the worker that has its beginning in its
local MOST_WORTH_MS = 10000    -- cache, if that has room; and so long at most
local BACKLOG = 32             -- where more jobs wait, no slot stays empty for the cache of a full worker
local DEAR = 4                 -- how many times the time it takes a prompt's evaluation anew counts
local SECOND_TRY_MS = 2000     -- and one that has failed here for another worker
local NEWCOMER_MS = 2000       -- and a new conversation for a worker that has fewer of them

local worker, now = ARGV[1], now_ms()
local prompt_ms, token_ms, turn_ms, behind = ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local faster = {}
for i = 12, 11 + ARGV[11] do faster[#faster + 1] = ARGV[i] end
local is_slow = tonumber(prompt_ms) > 0 or tonumber(token_ms) > 0
local about = fields_of(K.worker .. worker, 'epoch', 'slots', 'accepting', 'process',
  'prompt_tps', 'suspect', 'decode_tps')
local runs_suspect = about[6] and true
local slots = number(about[2])
local jobs = {}                -- those claimed so far

-- Who is called when jobs are left, and the time until they are left no more.
local called, again = {}, 0
local function leave_to(other, ms)
  if other then called[other] = true end
  if again == 0 or ms < again then again = ms end
end

-- Seconds of an average job; 0 of a worker that is not measured yet, and so takes everything.
local means
local function seconds_of(other)
  means = means or fields_of(K.counters, 'mean_prompt_tokens', 'mean_completion_tokens')
  local speed = fields_of(K.worker .. other, 'prompt_tps', 'decode_tps')
  local prompt_tps, decode_tps = number(speed[1]), number(speed[2])
  if prompt_tps <= 0 or decode_tps <= 0 then return 0 end
  return number(means[1], 1) / prompt_tps + number(means[2]) / decode_tps
end

-- One with room that is less patient: it may have waited for the ring that came here. Only one that is
-- faster, if not by much, or not measured: so two never call each other.
local function find_less_patient(class)
  local mine = seconds_of(worker)
  for _, other in ipairs(redis.call('ZREVRANGE', K.workers, 0, 63)) do
    if other ~= worker and can_take(class, other) and free_slots(other) > 0
        and seconds_of(other) < mine then
      return other
    end
  end
end

-- Whether a faster worker takes jobs of this class; and one to call that has room for it now.
local faster_of = {}
local function faster_worker(class)
  if faster_of[class] then return unpack(faster_of[class]) end
  local found, with_room = false, nil
  for _, other in ipairs(faster) do
    if fields_of(K.worker .. other, 'accepting')[1] == '1' and can_take(class, other) then
      found = true
      if free_slots(other) > 0 then with_room = with_room or other end
    end
  end
  if found then with_room = with_room or find_less_patient(class) end
  faster_of[class] = {found, with_room}
  return found, with_room
end

local function note_left(id, job)
  if not job.left_since_ms then redis.call('HSET', K.job .. id, 'left_since_ms', digits(now)) end
end

-- How much sooner a faster worker would do the job, once it has begun (`Patience.loss_ms`).
local function loss_of(job)
  return job.prompt_estimate * prompt_ms + job.completion_estimate * token_ms
end

-- `Patience.leaves`, for a job that this worker would be the slower one for by `loss` ms.
local function is_left_for_speed(id, job, loss)
  local ahead, waited = redis.call('ZCARD', K.queue) * turn_ms, now - job.enqueued_ms
  local times = tonumber(behind)
  if waited > ahead then times = math.min(times, waited / (waited - ahead)) end
  local left = now - (job.left_since_ms or now)
  if loss <= ahead * times or left >= loss then return false end
  local found, other = faster_worker(job.class)
  if not found then return false end
  note_left(id, job)
  leave_to(other, math.ceil(loss - left))
  return true
end

local runs = 0                 -- attempts that run here already

-- What it costs to evaluate here anew what another worker has in its cache, in ms: for all slots, since it
-- holds them up, unless nothing runs here; and DEAR times what it takes, for it displaces what others have
-- in the cache. 0 without figures.
local function anew_ms(job)
  local tps = number(about[5])
  if tps <= 0 then return 0 end
  local held_up = runs + #jobs > 0 and slots or 1
  return math.min(MOST_WORTH_MS, job.cached_there * DEAR * 1000 / tps * held_up)
end

-- Whether a slot will be free there sooner than that: behind the older jobs that wait for it.
local function comes_sooner(job, there, worth)
  local ahead = redis.call('ZRANK', K.prefers .. job.prefers, job.place) or 0
  local mean = number(fields_of(K.counters, 'mean_service_ms')[1])
  return (ahead + 1) * mean / there < worth
end

-- Of the most urgent job that prefers this worker and whose tenant may have one more run; 0 if there is none.
local most_urgent              -- until a job is taken
local function urgency()
  if most_urgent then return most_urgent end
  most_urgent = 0
  for _, place in ipairs(redis.call('ZRANGE', K.prefers .. worker, 0, 7)) do
    local class, tier, tenant = string.match(place, '^([^|]*)|([^|]*)|([^|]*)|')
    if (TIER_WEIGHTS[tier] or 0) > most_urgent and can_take(class, worker)
        and redis.call('ZSCORE', turns(class, tier), tenant) then
      most_urgent = TIER_WEIGHTS[tier]
    end
  end
  return most_urgent
end

local function has_favourites()
  return urgency() > 0
end

-- How many times as long an answer takes there as here; 1 if not twice as long, for busy servers have their
-- ups and downs, or not measured.
local function times_as_long(decode_tps)
  local mine, theirs = number(about[7]), number(decode_tps)
  return theirs > 0 and mine >= 2 * theirs and mine / theirs or 1
end

-- How many jobs each slot of a worker would have with so many more, those that wait for its cache included.
local function crowd_of(other, its_slots, more)
  local jobs_ = redis.call('ZCARD', K.running .. other) + redis.call('ZCARD', K.prefers .. other)
  return (jobs_ + more) / its_slots
end

-- The worker that has fewest conversations for its slots and speed, if that are fewer than here and all
-- are full: one with room takes what it wants. Of a large fleet those few that renewed last are looked at.
local function find_less_crowded(class)
  -- Where a slot has come free a conversation goes on in a moment.
  local least, found = crowd_of(worker, slots, 2), nil
  for _, other in ipairs(redis.call('ZREVRANGE', K.workers, 0, 15)) do
    local its = fields_of(K.worker .. other, 'accepting', 'slots', 'decode_tps')
    local its_slots = number(its[2])
    if other ~= worker and its[1] == '1' and can_take(class, other) then
      if not is_full(other) then return nil end
      local crowd = crowd_of(other, its_slots, 1) * times_as_long(its[3])
      if crowd < least or (found and crowd == least and other < found) then
        least, found = crowd, other
      end
    end
  end
  return found
end

-- A new conversation is given to the worker that has fewest, so that none has to move later. This one has
-- some of its own to go on with meanwhile, which are as urgent.
local function is_left_for_balance(id, job)
  local left = now - (job.left_since_ms or now)
  if job.prefers or left >= NEWCOMER_MS or urgency() < TIER_WEIGHTS[job.tier] then return false end
  local other = find_less_crowded(job.class)
  if not other then return false end
  redis.call('HSET', K.job .. id, 'prefers', other, 'cached_there', 0)
  redis.call('ZADD', K.prefers .. other, string.match(job.place, '|(%d+)|[^|]*$'), job.place)
  redis.call('PEXPIRE', K.prefers .. other, WORKER_TTL_MS)
  note_left(id, job)
  leave_to(nil, NEWCOMER_MS - left)
  return true
end

-- Whether a job is to be left to the worker that it prefers, if it was for no time so far.
local function is_worth_leaving(job, there, has_room, anew)
  if job.cached_there == '0' then return urgency() >= TIER_WEIGHTS[job.tier] end  -- new, and given to it
  if has_room then return true end
  if anew == 0 or has_favourites() then return anew > 0 end
  return redis.call('ZCARD', K.queue) <= BACKLOG and comes_sooner(job, there, anew)
end

local function is_left_for_cache(id, job)
  if not job.prefers then return false end
  local other = fields_of(K.worker .. job.prefers, 'accepting', 'slots')
  local there, anew = number(other[2]), anew_ms(job)
  if other[1] ~= '1' or there == 0 then return false end
  local has_room = redis.call('ZCARD', K.running .. job.prefers) < there
  if not is_worth_leaving(job, there, has_room, anew) then return false end
  local worth = job.cached_there == '0' and NEWCOMER_MS or math.max(LEAST_WORTH_MS, anew)
  local most = (has_room or job.cached_there == '0') and worth or MOST_WORTH_MS
  local rest = most - (now - (job.left_since_ms or now))
  if rest <= 0 then return false end
  note_left(id, job)
  leave_to(has_room and job.prefers, math.ceil(math.min(rest, worth)))
  return true
end

-- Whether another worker takes jobs of this class; and one to call that has room for it now.
local function another_worker(job)
  local found, with_room = false, nil
  for _, other in ipairs(redis.call('ZREVRANGE', K.workers, 0, 63)) do
    local theirs = other ~= worker
        and fields_of(K.worker .. other, 'accepting', 'suspect') or {}
    if theirs[1] == '1' and can_take(job.class, other) then
      found = true
      local may = not (is_suspect(job) and theirs[2])
      if may and not with_room and free_slots(other) > 0 then with_room = other end
    end
  end
  return found, with_room
end

-- What has failed here is tried elsewhere first. Of jobs that have crashed a server a worker runs one at a
-- time, so that none is blamed twice for what another one does; it takes the next when that has ended.
local function is_left_for_safety(id, job)
  local waits = is_suspect(job) and runs_suspect
  local left = now - (job.left_since_ms or now)
  if not waits and (job.avoids ~= worker or left >= SECOND_TRY_MS) then return false end
  local found, with_room = another_worker(job)
  if waits then
    if with_room then called[with_room] = true end
    return true
  end
  if not found then return false end
  note_left(id, job)
  leave_to(with_room, SECOND_TRY_MS - left)
  return true
end

local function is_left(id, job, loss)
  if is_left_for_safety(id, job) then return true end
  if job.prefers == worker then return false end
  if is_left_for_cache(id, job) or is_left_for_balance(id, job) then return true end
  return (loss > 0 and is_left_for_speed(id, job, loss))
end
