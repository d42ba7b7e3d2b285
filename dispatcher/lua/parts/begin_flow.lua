-- @include is_parked
-- @include tenant_waits

-- The first job of a user and class waits; others may wait already.
local function begin_flow(c, job)
  if begin_waiting(c, job.class, tenant_path(job), job.user) and not is_parked(c, job) then
    tenant_waits(c, job.class, job.tier, job.tenant)
  end
end
