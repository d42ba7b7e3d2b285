-- One key for the speeds of all that take jobs: every bridge compares itself with the others.
-- @include counters

-- Whether some of a small fleet are noticeably faster: a new job then calls one of those.
local function note_differences(c)
  local is_small = redis.call('HLEN', K.speeds) <= FASTER_ASKED
  local least, most = math.huge, 0
  for _, about in ipairs(is_small and redis.call('HVALS', K.speeds) or {}) do
    local tps = number(string.match(about, '^%S+ %S+ (%S+)$'))
    local speed = tps > 0 and tps or math.huge
    least, most = math.min(least, speed), math.max(most, speed)
  end
  set_counter(c, 'speeds_differ', most > FASTER_RATIO * least and 1 or 0)
end

local function forget_speed(c, worker)
  if redis.call('HDEL', K.speeds, worker) == 1 then note_differences(c) end
end

local function publish_speed(c, worker)
  local about = fields_of(K.worker .. worker, 'accepting', 'slots', 'prompt_tps', 'decode_tps')
  if about[1] ~= '1' then return forget_speed(c, worker) end
  local speed = about[2] .. ' ' .. (about[3] or '0') .. ' ' .. (about[4] or '0')
  if redis.call('HGET', K.speeds, worker) == speed then return end
  redis.call('HSET', K.speeds, worker, speed)
  note_differences(c)
end
