-- @include classes
-- @include counters
-- @include tenant_waits

-- Returns whether it was parked.
local function unpark(c, tenant)
  if redis.call('SREM', K.parked, tenant) == 0 then return false end
  count(c, 'parked', -1)
  for _, class in ipairs(all_classes(c)) do
    for tier in pairs(TIER_WEIGHTS) do
      if redis.call('EXISTS', turns(class, tier .. '|' .. tenant)) == 1 then
        tenant_waits(c, class, tier, tenant)
      end
    end
  end
  return true
end
