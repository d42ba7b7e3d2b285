-- A tenant with as many running jobs as it may have is not waiting until one of them ends.
-- @include waiting

local function park(c, tenant)
  if redis.call('SADD', K.parked, tenant) == 1 then count(c, 'parked', 1) end
  for _, class in ipairs(all_classes(c)) do
    for tier in pairs(TIER_WEIGHTS) do tenant_rests(c, class, tier, tenant) end
  end
end

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
