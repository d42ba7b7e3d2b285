-- oldest_waiting: tells a bridge that could load the model who waits for it. Writes nothing.
-- KEYS[1]  the model's key prefix
-- ARGV     1 worker: it is told of no jobs that it is known to be unable to take
-- Returns  {jobs, ms, slots, mean ms, worker}  how many jobs are queued; for how long the oldest
--          waits; the slots of other live workers that take jobs; for how long a job holds one; the
--          worker that loads the model now ('': none)
-- Of each class only the first places are looked at for the oldest job.
-- @include call
-- @include can_take
-- @include classes
-- @include now_ms
-- @include places
local worker = ARGV[1]
c.now = now_ms()

-- What was never loaded may be able to do all.
local is_unknown = (fields_of(K.worker .. worker, 'fingerprint')[1] or '') == ''

local function oldest_of_class(class)
  local oldest, least
  local places = redis.call('ZRANGEBYLEX', K.queue, '[' .. class .. '|', '(' .. class .. '|\255',
    'LIMIT', 0, WAITING_LOOKED_AT)
  for _, place in ipairs(places) do
    local sequence = sequence_of(place)
    if sequence and (not least or sequence < least) then oldest, least = place, sequence end
  end
  return oldest
end

local function waited_ms(place)
  local since = tonumber(fields_of(K.job .. job_of(place), 'enqueued_ms')[1] or '')
  return since and math.max(0, c.now - since) or 0
end

local function slots_of_others()
  local slots = 0
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', K.workers, '(' .. digits(c.now), '+inf')) do
    local about = fields_of(K.worker .. other, 'accepting', 'slots')
    if other ~= worker and about[1] == '1' then slots = slots + number(about[2]) end
  end
  return slots
end

local jobs, ms = 0, 0
for _, class in ipairs(all_classes(c)) do
  if is_unknown or can_take(class, worker) then
    local oldest = oldest_of_class(class)
    jobs = jobs + c.waiting[class]
    if oldest then ms = math.max(ms, waited_ms(oldest)) end
  end
end
return {jobs, ms, slots_of_others(), string.format('%.0f', number(counter(c, 'mean_service_ms'))),
  redis.call('GET', K.loading) or ''}
