-- @include stop_waiting

local function tenant_rests(c, class, tier, tenant)
  stop_waiting(c, class, tier, tenant)
  if redis.call('EXISTS', turns(class, tier)) == 0 then stop_waiting(c, class, '', tier) end
end
