-- @include add_charge
-- @include charges
-- @include least_served
-- @include levels
-- @include path_of

-- A child that returns starts at the least `served` of those that wait: not at a sum, since
-- estimates may be far too high, and it would wait until others really had as much. It starts just
-- after them: equal ones stand in the order of their names, and ever new names would starve the
-- last of them.
local function served_at_start(c, parent, child, charged)
  local idle = redis.call('ZSCORE', K.idle .. parent, child)
  local own = (idle or charged) - charged
  if idle then redis.call('ZREM', K.idle .. parent, child) end
  local least = least_served(parent)
  if not least then return own end
  return math.max(own, parent == '' and least or least + JUST_BEHIND)  -- equal tiers have an order
end

-- What waits in several classes (dispatcher/needs.py) has the same sum in each. Returns whether
-- the child was not waiting in this class already.
local function begin_waiting(c, class, parent, child)
  if redis.call('ZSCORE', turns(class, parent), child) then return false end
  local served = redis.call('ZSCORE', K.served .. parent, child)
  local charged = charged_of(c, path_of(parent, child))
  if not served then
    served = served_at_start(c, parent, child, charged)
    redis.call('ZADD', K.served .. parent, served, child)
  end
  redis.call('ZADD', turns(class, parent), served + charged, child)
  return true
end
