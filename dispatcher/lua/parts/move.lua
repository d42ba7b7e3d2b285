-- Virtual token counters (arXiv 2401.00588). Of each child two are kept, in cost per weight:
-- `served`, what it had, and `charged`, what its running jobs are expected to cost. The least sum
-- is next. `turns` has the sums of those that wait, `idle` of those that don't.
-- bench/reference/turns.py says the same in Python.
-- @include classes
-- @include levels
-- @include numbers
-- @lazy move_idle

-- Where nobody waits no sum is kept.
local function move(c, parent, child, amount)
  if amount == 0 or queued(c) == 0 then return end
  local waits = false
  for _, class in ipairs(all_classes(c)) do
    local sum = redis.call('ZADD', turns(class, parent), 'XX', 'INCR', amount, child)
    if sum then waits = true end
  end
  if not waits then move_idle(parent, child, amount) end
end
