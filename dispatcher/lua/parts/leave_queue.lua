-- @include classes
-- @include counters
-- @include forget_waiting
-- @include leave_class
-- @include leave_turns
-- @lazy forget_key

local function leave_tenant(job)
  if tonumber(redis.call('ZINCRBY', K.waiting, -1, job.tenant)) <= 0 then
    redis.call('ZREM', K.waiting, job.tenant)
    redis.call('ZREM', K.waiting_bytes, job.tenant)
  else
    redis.call('ZINCRBY', K.waiting_bytes, 0 - job.bytes, job.tenant)
  end
end

local function leave_queue(c, id, job)
  if redis.call('ZREM', K.queue, job.place) == 0 then return end
  if job.supersedes then forget_key(id, job) end
  if job.prefers then redis.call('ZREM', K.prefers .. job.prefers, job.place) end
  if queued(c) == 1 and redis.call('EXISTS', K.queue) == 0 then
    return forget_waiting(c, {job})
  end
  leave_class(c, job.class)
  leave_tenant(job)
  count(c, 'queued_bytes', 0 - job.bytes)
  leave_turns(c, job)
end
