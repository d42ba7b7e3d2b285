-- @include begin_waiting

local function tenant_waits(c, class, tier, tenant)
  if begin_waiting(c, class, tier, tenant) then begin_waiting(c, class, '', tier) end
end
