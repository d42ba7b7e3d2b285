-- @include add_charge
-- @include charges
-- @include move

-- A job has ended. It was expected to cost job.estimate, and did cost `cost`.
local function settle(c, job, cost)
  read_charges_of(c, job)
  local estimate, somebody_waits = tonumber(job.estimate), queued(c) > 0
  cost = tonumber(cost)
  for _, level in ipairs(levels(job)) do
    local parent, child, weight = level[1], level[2], level[3]
    local expected, real = share(estimate, weight), share(cost, weight)
    add_charge(c, level[4], 0 - expected)
    if real ~= 0 and somebody_waits then
      redis.call('ZADD', K.served .. parent, 'XX', 'INCR', real, child)
    end
    if somebody_waits then move(c, parent, child, real - expected) end
  end
end
