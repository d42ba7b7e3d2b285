-- @include counters
-- @include running_of
-- @lazy park
-- @include suspects

-- What its worker and its tenant know of a job that begins to run.
local function begin_running(c, worker, attempt_id, job)
  if is_suspect(c, job) then
    redis.call('HSET', K.worker .. worker, 'suspect', attempt_id)
    space_out(c, job)
  end
  count(c, running_of(job.class), 1)
  local most = tonumber(job.max_tenant_running or '0')
  if most > 0 and redis.call('HINCRBY', K.busy, job.tenant, 1) >= most then park(c, job.tenant) end
end
