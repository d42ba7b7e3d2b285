-- What a job costs its tier, its tenant and its user.
-- @include charges
-- @include move

-- A running job is expected to cost `after` where it was `before`: 0 before it runs, and after it
-- was given back.
local function charge(c, job, before, after)
  read_charges_of(c, job)
  for _, level in ipairs(levels(job)) do
    local parent, child, weight, path = unpack(level)
    local amount = share(after, weight) - share(before, weight)
    add_charge(c, path, amount)
    move(c, parent, child, amount)
  end
end

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
