-- @include classes
-- @include counters
-- @include enter_turns

-- Returns how many jobs its tenant has in the queue now.
local function enter_queue(c, id, job)
  local is_first = queued(c) == 0
  if is_first then
    set_counter(c, 'queued_bytes', 0)
    c.added.queued_bytes = nil
  end
  redis.call('ZADD', K.queue, 0, job.place)
  enter_class(c, job.class)
  local of_tenant = redis.call('ZINCRBY', K.waiting, 1, job.tenant)
  redis.call('ZINCRBY', K.waiting_bytes, job.bytes, job.tenant)
  count(c, 'queued_bytes', tonumber(job.bytes))
  redis.call('ZADD', K.deadlines, job.wait_until_ms, id)
  enter_turns(c, job, is_first)
  return tonumber(of_tenant)
end
