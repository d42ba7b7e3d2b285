-- @include bells
-- @include can_take
-- @include classes
-- @include slots

-- Calls one bridge that may take jobs of a class. The bell that all share is only for what all may
-- take: one that may not would have to pass its ring on, and would get it again.
local function call_one(c, class)
  if c.rung[class] then return end
  c.rung[class] = true
  if class == 'any' then return ring(K.bell) end
  for _, worker in ipairs(redis.call('ZREVRANGE', K.workers, 0, FLEET_LOOKED_AT - 1)) do
    if can_take(class, worker) and free_slots(worker) > 0 then return ring_worker(worker) end
  end
end

-- One bridge for each class that waits.
local function call_all(c)
  for _, class in ipairs(all_classes(c)) do call_one(c, class) end
end
