-- cancel: nobody waits for this job any more.
-- KEYS[1]  the model's key prefix
-- ARGV     1 job id
-- Returns  {state}  the state it was in: queued or lost (now gone), running (its worker is told), a
--                   final state (nothing changed) or unknown
local id = ARGV[1]
local job = read_job(id)
if not job then return {'unknown'} end
if job.flaw then
  retire(id, job.flaw)
  return {'failed'}
end
if job.state == 'queued' then
  leave_queue(id, job)
  end_job(id, 'cancelled')
elseif job.state == 'lost' then
  end_job(id, 'cancelled')
elseif job.state == 'running' then
  redis.call('DEL', K.body .. id)  -- nobody will run it again; and a removal first passes at maxmemory
  redis.call('HSET', K.job .. id, 'cancelled', 1)
  redis.call('ZADD', K.cancels .. job.worker, 0, id .. ':' .. job.attempt)
  redis.call('PEXPIRE', K.cancels .. job.worker, WORKER_TTL_MS)
end
return {job.state}
