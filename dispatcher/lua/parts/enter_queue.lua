-- @include classes
-- @include counters
-- @include enter_class
-- @include enter_turns
-- @lazy enter_later

local function enter_now(c, id, job)
  redis.call('ZADD', K.queue, 0, job.place)
  enter_class(c, job.class)
  local of_tenant = tonumber(redis.call('ZINCRBY', K.waiting, 1, job.tenant))
  redis.call('ZINCRBY', K.waiting_bytes, job.bytes, job.tenant)
  redis.call('ZADD', K.deadlines, job.wait_until_ms, id)
  if c.entering then c.entering.of_tenant[job.tenant] = of_tenant end
  return of_tenant
end

-- Returns how many jobs its tenant has in the queue now.
local function enter_queue(c, id, job)
  local is_first = queued(c) == 0
  if is_first then
    set_counter(c, 'queued_bytes', 0)
    c.added.queued_bytes = nil
  end
  local of_tenant = c.entering and enter_later(c, id, job) or enter_now(c, id, job)
  count(c, 'queued_bytes', tonumber(job.bytes))
  enter_turns(c, job, is_first)
  return of_tenant
end
