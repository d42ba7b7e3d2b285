-- Which job a worker takes next. bench/reference/choice.py makes the same choice in Python.
-- Each of these returns a job, nil, or CHANGED: the queue has changed, and must be looked at again.
-- @include candidates
-- @include favourites
-- @include job_at
-- @include may_be_left
-- @lazy clear_places
-- @lazy find_favourite
-- @lazy forget_turn
-- @lazy leave
-- @lazy remove
-- @lazy why_left

-- How much sooner a faster worker would do the job, once it has begun (`Patience.loss_ms`).
local function loss_of(c, job)
  if not c.is_slow then return 0 end
  return job.prompt_estimate * c.prompt_ms + job.completion_estimate * c.token_ms
end

-- Looks at a job of a user. Returns it, and its loss, if this worker may take it.
local function consider(c, place, least)
  c.looked = c.looked + 1
  local job = job_at(c, place)
  if job.obstacle then
    remove(c, job)
    return CHANGED
  end
  local loss = loss_of(c, job)
  if loss > least or is_of_other_protocol(job) then return nil end
  local left = (loss > 0 or may_be_left(c, job)) and why_left(c, job, loss)
  if not left then return job, loss end
  leave(c, job, left)
end

-- The oldest job of a user that is not left to others. A slow worker looks for the one that loses
-- least, of equal ones the last: the older ones will find a fast worker before.
local function find_of_user(c, path)
  -- Most often the first is taken, and the second tells that there are more.
  local is_short = not c.is_slow and #c.mine == 1
  local places, unreadable = oldest_of(c, path, is_short and 2 or JOBS_OF_USER)
  if #unreadable > 0 then return clear_places(c, unreadable) end
  if #places == 0 then return forget_turn(c, path) end
  local best, least, i = nil, math.huge, 1
  while places[i] and c.looked < JOBS_LOOKED_AT do
    local job, loss = consider(c, places[i], least)
    if job == CHANGED then return CHANGED end
    if job then
      best, least = job, loss
      job.is_followed = #c.mine == 1 and #places > 1
      if not c.is_slow then return best end
    end
    if is_short and i == 2 then places = oldest_of(c, path, JOBS_OF_USER) end
    i = i + 1
  end
  return best
end

local function find_fair(c, most)
  for _, tier in ipairs(waiting_at(c, '')) do
    for _, tenant in ipairs(waiting_at(c, tier[1], most)) do
      local path = tier[1] .. '|' .. tenant[1]
      for _, user in ipairs(waiting_at(c, path, most)) do
        local found = find_of_user(c, path .. '|' .. user[1])
        if found or c.looked >= JOBS_LOOKED_AT then return found end
      end
    end
  end
end

local function find_next(c)
  if #favourites(c) == 0 then return find_fair(c, FEW_OF_LEVEL) or find_fair(c, MANY_OF_LEVEL) end
  return find_favourite(c, false) or find_fair(c, FEW_OF_LEVEL) or find_favourite(c, true)
      or find_fair(c, MANY_OF_LEVEL)
end
