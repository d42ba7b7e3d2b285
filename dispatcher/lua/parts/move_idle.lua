-- @include least_served
-- @include numbers

-- A child that was forgotten had no more than those that wait: it would start where they are.
local function move_idle(parent, child, amount)
  local is_kept = redis.call('ZADD', K.idle .. parent, 'XX', 'INCR', amount, child)
  if is_kept or amount <= 0 then return end
  local least = least_served(parent)
  if least then redis.call('ZADD', K.idle .. parent, least + amount, child) end
end
