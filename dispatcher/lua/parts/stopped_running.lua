-- @include counters
-- @include running_of
-- @lazy call_all
-- @lazy unpark

-- After an attempt was taken off its worker: its tenant may have another one run.
local function stopped_running(c, job)
  count(c, running_of(job.class), -1)
  local is_bound = tonumber(job.max_tenant_running or '0') > 0
  if is_bound and redis.call('HINCRBY', K.busy, job.tenant, -1) <= 0 then
    redis.call('HDEL', K.busy, job.tenant)
  end
  local was_capped = counted(c, 'capped') > 0
  if was_capped then set_counter(c, 'capped', 0) end
  local is_back = is_bound and unpark(c, job.tenant)
  if is_back or was_capped then call_all(c) end
end
