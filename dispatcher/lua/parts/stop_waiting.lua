-- @include classes
-- @include levels

-- Where nobody waits any more, what they were served is forgotten. Else a child that was served for
-- long, while others were away, would wait until they had as much.
local function stop_waiting(c, class, parent, child)
  local sum = redis.call('ZSCORE', turns(class, parent), child)
  if not sum then return end
  redis.call('ZREM', turns(class, parent), child)
  for _, other in ipairs(all_classes(c)) do
    if other ~= class and redis.call('ZSCORE', turns(other, parent), child) then return end
  end
  redis.call('ZREM', K.served .. parent, child)
  if redis.call('EXISTS', K.served .. parent) == 1 then
    redis.call('ZADD', K.idle .. parent, sum, child)
  else
    redis.call('DEL', K.idle .. parent)
  end
end
