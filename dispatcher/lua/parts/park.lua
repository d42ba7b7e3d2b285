-- Parks a tenant that runs as many jobs as it may: until one of them ends only what needs no slot
-- has a turn.
-- @include classes
-- @include counters
-- @include is_side
-- @include tenant_rests

local function park(c, tenant)
  if redis.call('SADD', K.parked, tenant) == 1 then count(c, 'parked', 1) end
  for _, class in ipairs(all_classes(c)) do
    for tier in pairs(is_side(class) and {} or TIER_WEIGHTS) do
      tenant_rests(c, class, tier, tenant)
    end
  end
end
