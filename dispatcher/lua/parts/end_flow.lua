-- @include tenant_rests

-- The last job of a user and class has left the queue.
local function end_flow(c, job)
  local path = tenant_path(job)
  stop_waiting(c, job.class, path, job.user)
  if redis.call('EXISTS', turns(job.class, path)) == 0 then
    tenant_rests(c, job.class, job.tier, job.tenant)
  end
end
