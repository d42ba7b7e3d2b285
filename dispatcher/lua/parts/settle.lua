-- @include charges
-- @include move

-- A job has ended that was expected to cost job.estimate and did cost `cost`.
local function settle(c, job, cost)
  read_charges_of(c, job)
  for _, level in ipairs(levels(job)) do
    local parent, child, weight, path = unpack(level)
    local expected, real = share(job.estimate, weight), share(cost, weight)
    add_charge(c, path, 0 - expected)
    if real ~= 0 and queued(c) > 0 then
      redis.call('ZADD', K.served .. parent, 'XX', 'INCR', digits(real), child)
    end
    move(c, parent, child, real - expected)
  end
end
