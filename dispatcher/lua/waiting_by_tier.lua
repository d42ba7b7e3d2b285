-- waiting_by_tier: how many jobs wait for the model, and for how long the oldest. Writes nothing.
-- KEYS[1]  the model's key prefix
-- ARGV     the tiers
-- Returns  {jobs, ms} for each tier
-- Of each class and tier only the first places are looked at for the oldest job.
-- @include now_ms
-- @include places
-- @include tolerant
local MOST_CLASSES = 100
local now = now_ms()

local function age_ms(first, last)
  local places = redis.call('ZRANGEBYLEX', K.queue, first, last, 'LIMIT', 0, WAITING_LOOKED_AT)
  local oldest, least
  for _, place in ipairs(places) do
    local sequence = sequence_of(place)
    if sequence and (not least or sequence < least) then oldest, least = place, sequence end
  end
  if not oldest then return 0 end
  local since = tonumber(fields_of(K.job .. job_of(oldest), 'enqueued_ms')[1] or '')
  return since and math.max(0, now - since) or 0
end

local classes = redis.call('ZRANGE', K.classes, 0, MOST_CLASSES - 1)

local function of_tier(tier)
  local jobs, ms = 0, 0
  for _, class in ipairs(classes) do
    local flow = class .. '|' .. tier .. '|'
    local first, last = '[' .. flow, '(' .. flow .. '\255'
    local waiting = redis.call('ZLEXCOUNT', K.queue, first, last)
    jobs = jobs + waiting
    if waiting > 0 then ms = math.max(ms, age_ms(first, last)) end
  end
  return {jobs, ms}
end

local found = {}
for _, tier in ipairs(ARGV) do found[#found + 1] = of_tier(tier) end
return found
