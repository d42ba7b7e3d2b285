-- When a worker leaves a job to others. Each reason returns nil, or what leaving it means:
--   ms       after this time it is left no more (nil: until something else changes)
--   call     a worker with room that may take it
--   give_to  the worker that it is to prefer from now on
-- @include classes
-- @include crowds
-- @include suspects
-- @include taken
-- @include urgency

local function left_ms(c, job)
  return c.now - (job.left_since_ms or c.now)
end

-- A worker to call that has room and no suspect. It is looked for once: many jobs may wait for one.
local function without_suspect(c, job)
  c.without_suspect = c.without_suspect or {}
  if c.without_suspect[job.class] == nil then
    local _, with_room = another_worker(c, job)
    c.without_suspect[job.class] = with_room or false
  end
  return c.without_suspect[job.class]
end

-- A job that has failed here is tried elsewhere first. A worker runs one suspect at a time (a job
-- that crashed a server, or one of a tenant under suspicion), so that none is blamed for another.
-- It takes the next when that has ended. No job of one that is held back begins.
local function left_for_safety(c, job)
  local is_of_suspects = is_suspect(c, job)
  local held_back = is_of_suspects and held_back_ms(c, job) or 0
  if held_back > 0 then return {ms = held_back} end
  local waits = is_of_suspects and c.runs_suspect
  if not waits and (job.avoids ~= c.worker or left_ms(c, job) >= SECOND_TRY_MS) then return nil end
  if waits then return {call = without_suspect(c, job)} end
  local found, with_room = another_worker(c, job)
  return found and {call = with_room, ms = SECOND_TRY_MS - left_ms(c, job)} or nil
end

-- What it costs, in ms, to evaluate here what another worker has in its cache: for all slots, since
-- it holds them up, unless nothing runs here. It counts REPREFILL_FACTOR times, since it displaces
-- what others have in the cache. 0 without figures.
local function reprefill_ms(c, job)
  local tps = number(c.about.prompt_tps)
  if tps <= 0 then return 0 end
  local held_up = c.running + #c.jobs > 0 and c.slots or 1
  return math.min(MOST_WORTH_MS, job.cached_there * REPREFILL_FACTOR * 1000 / tps * held_up)
end

-- Whether a slot will be free there sooner than that, after the older jobs that wait for it.
local function comes_sooner(c, job, there, worth)
  local ahead = redis.call('ZRANK', K.prefers .. job.prefers, job.place) or 0
  return (ahead + 1) * number(counter(c, 'mean_service_ms')) / there < worth
end

-- Whether a job that was not left so far is to be left to the worker that it prefers.
local function is_worth_leaving(c, job, there, has_room, reprefill)
  if job.cached_there == '0' then return urgency(c) >= TIER_WEIGHTS[job.tier] end  -- given to it
  if has_room then return true end
  if reprefill == 0 or urgency(c) > 0 then return reprefill > 0 end
  return queued_for_slots(c) <= BACKLOG and comes_sooner(c, job, there, reprefill)
end

local function left_for_cache(c, job)
  if not job.prefers then return nil end
  local other = fields_of(K.worker .. job.prefers, 'accepting', 'slots')
  local there, reprefill = number(other[2]), reprefill_ms(c, job)
  if other[1] ~= '1' or there == 0 then return nil end
  local has_room = slots_taken(job.prefers) < there
  if not is_worth_leaving(c, job, there, has_room, reprefill) then return nil end
  local is_new = job.cached_there == '0'
  local worth = is_new and NEWCOMER_MS or math.max(LEAST_WORTH_MS, reprefill)
  local rest = ((has_room or is_new) and worth or MOST_WORTH_MS) - left_ms(c, job)
  if rest <= 0 then return nil end
  return {call = has_room and job.prefers, ms = math.ceil(math.min(rest, worth))}
end

-- A new conversation is given to the worker that has fewest, so that none has to move later. This
-- worker goes on with its own meanwhile, which are as urgent.
local function left_for_balance(c, job)
  if job.prefers or left_ms(c, job) >= NEWCOMER_MS then return nil end
  if urgency(c) < TIER_WEIGHTS[job.tier] then return nil end
  local other = find_less_crowded(c, job.class)
  return other and {give_to = other, ms = NEWCOMER_MS - left_ms(c, job)} or nil
end

-- `Patience.leaves`, for a job that this worker would do `loss` ms slower.
local function left_for_speed(c, job, loss)
  if loss <= 0 then return nil end
  local ahead, waited = queued_for_slots(c) * c.turn_ms, c.now - job.enqueued_ms
  local times = c.backlog_factor
  if waited > ahead then times = math.min(times, waited / (waited - ahead)) end
  if loss <= ahead * times or left_ms(c, job) >= loss then return nil end
  local found, other = faster_worker(c, job.class)
  return found and {call = other, ms = math.ceil(loss - left_ms(c, job))} or nil
end

local function why_left(c, job, loss)
  local left = left_for_safety(c, job)
  if left or job.prefers == c.worker then return left end
  return left_for_cache(c, job) or left_for_balance(c, job) or left_for_speed(c, job, loss)
end
