-- api_heartbeat: the api replica lives, has read this far, and waits for these jobs.
-- KEYS[1]  the model's key prefix
-- ARGV     1 api  2 lease ms  3 last entry read ('0-0': none)  4 bytes read since the last heartbeat
--          5 a random id: becomes the boot id if this Redis has none  6… ids of the jobs waited for
-- Returns  {boot id, last entry of the reply stream, id, …}  the ids are jobs that Redis does not know: it
--          lost them, or what they said while the api was taken for dead and had no stream. They may be
--          enqueued again under the same id. A changed boot id, or a last entry before the one read, says
--          that data was lost: read again from '0-0'.
local api, now = ARGV[1], now_ms()
local stream = K.replies .. api
redis.call('XTRIM', stream, 'MINID', ARGV[3])  -- first: after a removal it passes at maxmemory too
redis.call('HSETNX', K.counters, 'boot', ARGV[5])
redis.call('ZADD', K.apis, digits(now + tonumber(ARGV[2])), api)
local made = redis.call('EXISTS', stream) == 0
if made then
  redis.call('XADD', stream, '*', 'hello', api)
  redis.call('DEL', K.api .. api)
end
redis.call('HINCRBY', K.api .. api, 'read_bytes', ARGV[4])
redis.call('HSET', K.api .. api, 'protocol', PROTOCOL)
redis.call('PEXPIRE', K.api .. api, WORKER_TTL_MS)
redis.call('PEXPIRE', stream, WORKER_TTL_MS)
local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
local answer = {redis.call('HGET', K.counters, 'boot'), last and last[1] or '0-0'}

-- What failed while nobody could hear it is not tried again.
local HAS_FAILED = {rejected = true, failed = true, expired = true, superseded = true}

local function forget(id, job)
  if job.state == 'running' then
    take_off(job.worker, id .. ':' .. job.attempt)
    ring_worker(job.worker)
    stopped_running(job)
    charge(job, job.estimate, 0)
  end
  redis.call('ZREM', K.deadlines, id)
  redis.call('DEL', K.job .. id, K.body .. id)
end

-- Of a job that was retired while its api was not known.
local function tell_of_flaw(id)
  tell(api, id .. ':', 'failed', string.format(UNREADABLE, fields_of(K.job .. id, 'flaw')[1] or 'unknown'))
  redis.call('HSET', K.job .. id, 'untold', '')
end

-- After the api was taken for dead. Returns whether Redis knows the job still.
local function knows(id)
  local job = read_job(id)
  if job and job.flaw then
    if FINAL[job.state] then tell_of_flaw(id) else retire(id, job.flaw) end
  elseif job and HAS_FAILED[job.state] then
    tell(api, id .. ':', 'failed',
      '{"code":"worker_failed","message":"The API was cut off from Redis while the job ended."}')
  elseif job and job.state ~= 'queued' then
    forget(id, job)
    job = nil
  end
  return job ~= nil
end

local function look_at(id)
  local said = fields_of(K.job .. id, 'state', 'untold')
  if said[2] == '1' then tell_of_flaw(id) end
  if made then return knows(id) end
  return said[1] or redis.call('EXISTS', K.job .. id) == 1
end

for i = 6, #ARGV do
  local id = ARGV[i]
  local is_well, is_known = guarded(look_at, id)
  if not is_well then retire(id, UNFIT)
  elseif not is_known then answer[#answer + 1] = id end
end
return answer
