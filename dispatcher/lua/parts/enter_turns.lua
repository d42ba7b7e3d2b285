-- @include charges
-- @include is_parked
-- @include levels
-- @lazy begin_flow

-- The first of all that wait.
local function begin_turns(c, job)
  read_charges_of(c, job)
  local is_resting = is_parked(c, job)
  for i, level in ipairs(levels(job)) do
    if i == 3 or not is_resting then
      redis.call('ZADD', K.served .. level[1], 0, level[2])
      redis.call('ZADD', turns(job.class, level[1]), c.charged[level[4]], level[2])
    end
  end
end

local function enter_turns(c, job, is_first)
  local flow = job.class .. '|' .. levels(job)[3][4]
  if c.waits[flow] then return end
  c.waits[flow] = true
  if is_first then begin_turns(c, job) else begin_flow(c, job) end
end
