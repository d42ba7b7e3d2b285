-- @include entering

-- Writes what was put off: before anybody reads or changes the queue, and at the end.
local function write_entries(c)
  local about = c.entering
  begin_entering(c, {})
  if #about.places == 0 then return end
  redis.call('ZADD', K.queue, unpack(about.places))
  redis.call('ZADD', K.deadlines, unpack(about.dues))
  for class, jobs in pairs(about.classes) do redis.call('ZINCRBY', K.classes, jobs, class) end
  for tenant, jobs in pairs(about.jobs) do
    redis.call('ZINCRBY', K.waiting, jobs, tenant)
    redis.call('ZINCRBY', K.waiting_bytes, about.bytes[tenant], tenant)
  end
end
