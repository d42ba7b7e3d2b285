-- @include read_place

-- Whether its place says the same as its fields.
local function is_placed(id, job)
  local class, tier, tenant, user, _, placed = read_place(job.place)
  return class == job.class and tier == job.tier and tenant == job.tenant and user == job.user
      and placed == id
end
