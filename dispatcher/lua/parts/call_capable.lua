-- @include bells
-- @include can_take
-- @include slots

-- Calls one bridge that may take jobs of a class by its own bell.
local function call_capable(class)
  for _, worker in ipairs(redis.call('ZREVRANGE', K.workers, 0, FLEET_LOOKED_AT - 1)) do
    if can_take(class, worker) and has_room_for(class, worker) then return ring_worker(worker) end
  end
end
