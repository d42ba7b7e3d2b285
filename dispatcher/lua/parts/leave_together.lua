-- @include classes
-- @include counters
-- @include tolerant
-- @include try

-- The oldest jobs of the only flow that waits leave the queue, and others of it stay.
local function leave_together(c, jobs)
  local places, bytes, class, tenant = {}, 0, jobs[1].class, jobs[1].tenant
  for i, job in ipairs(jobs) do places[i], bytes = job.place, bytes + job.bytes end
  redis.call('ZREM', K.queue, unpack(places))
  redis.call('ZINCRBY', K.classes, 0 - #jobs, class)
  c.waiting[class], c.queued = c.waiting[class] - #jobs, c.queued - #jobs
  local is_counted = try('ZINCRBY', K.waiting, 0 - #jobs, tenant)
      and try('ZINCRBY', K.waiting_bytes, 0 - bytes, tenant)
  if not is_counted then set_counter(c, 'recount', 1) end
  count(c, 'queued_bytes', 0 - bytes)
end
