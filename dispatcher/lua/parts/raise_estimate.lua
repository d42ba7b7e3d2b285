-- @include charge
-- @include read_job

-- Long jobs are charged as they go: an estimate that was too low would let their tenant begin
-- others.
local function raise_estimate(c, id, cost)
  local job = read_job(id)
  if job and not job.flaw and tonumber(cost) > tonumber(job.estimate) then
    charge(c, job, job.estimate, cost)
    redis.call('HSET', K.job .. id, 'estimate', cost)
  end
end
