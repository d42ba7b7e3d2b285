-- Ends a job that can't be read. Each step is taken by itself: any field may be the bad one. What
-- its tenant was charged for it can't be told, so the next reap counts again (recount.lua).
-- @include attempts
-- @include bells
-- @include flaws
-- @include guarded
-- @include places
-- @include leave_queue
-- @include take_off
-- @include try
-- @include attempt_id_of

-- `place` is where it was found in the queue, `attempt_id` that of its attempt, which is off its
-- worker already; each may be nil. With `is_answered` its api has the whole answer.
local function retire(c, id, flaw, place, attempt_id, is_answered)
  local pairs_, job = try('HGETALL', K.job .. id) or {}, {}
  for i = 1, #pairs_, 2 do job[pairs_[i]] = pairs_[i + 1] end
  if FINAL[job.state] then return end

  local function leave_its_worker()
    if job.worker and job.attempt and take_off(job.worker, id .. ':' .. job.attempt) then
      ring_worker(job.worker)
    end
  end

  -- The place that it names may be wrong.
  local function find_place()
    if job.place and try('ZSCORE', K.queue, job.place) then return job.place end
    if job.state == 'running' or job.state == 'lost' then return nil end
    local tail = '|' .. id
    for first = 0, math.min(redis.call('ZCARD', K.queue), MOST_SEARCHED) - 1, VALUES_AT_ONCE do
      for _, found in ipairs(redis.call('ZRANGE', K.queue, first, first + VALUES_AT_ONCE - 1)) do
        if string.sub(found, -#tail) == tail then return found end
      end
    end
  end

  local function leave_its_place()
    local found = place or find_place()
    if not found then return end
    local class, tier, tenant, user = split_place(found)
    if not class then return redis.call('ZREM', K.queue, found) end
    leave_queue(c, id, {place = found, class = class, tier = tier, tenant = tenant, user = user,
      prefers = job.prefers, supersedes = job.supersedes,
      bytes = number(job.bytes, try('STRLEN', K.body .. id))})
  end

  local function tell_its_api()
    if not job.api then return false end
    local payload = string.format(UNREADABLE, flaw)
    local frame = 'failed -1 0 ' .. #payload .. '\n' .. payload
    local field = attempt_id or attempt_id_of(id, job)
    return try('XADD', K.replies .. job.api, 'NOMKSTREAM', '*', field, frame)
  end

  try('ZREM', K.deadlines, id)
  guarded(c, leave_its_worker)
  guarded(c, leave_its_place)
  try('DEL', K.body .. id)
  local is_told = is_answered or tell_its_api()
  if #pairs_ > 0 then
    -- The api's next heartbeat is told of what it could not be told now.
    redis.call('HSET', K.job .. id, 'state', 'failed', 'flaw', flaw,
      'untold', is_told and '' or '1')
    redis.call('PEXPIRE', K.job .. id, DONE_TTL_MS)
  else
    redis.call('DEL', K.job .. id)
  end
  for _, name in ipairs({'failed', 'damaged', 'damaged_untold'}) do count(c, name, 1) end
  set_counter(c, 'recount', 1)
  set_counter(c, 'last_damage', id .. ': ' .. flaw)
end
