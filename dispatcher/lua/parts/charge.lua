-- What a job costs its tier, its tenant and its user.
-- @include add_charge
-- @include charges
-- @include move

-- A running job is expected to cost `after`, no longer `before`. 0: it does not run.
local function charge(c, job, before, after)
  read_charges_of(c, job)
  for _, level in ipairs(levels(job)) do
    local parent, child, weight, path = unpack(level)
    local amount = share(after, weight) - share(before, weight)
    add_charge(c, path, amount)
    move(c, parent, child, amount)
  end
end
