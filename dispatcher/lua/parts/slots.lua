-- Free slots are never stored: they are the slots less the attempts that run.
-- @include numbers
-- @include tolerant

local function free_slots(worker)
  local about = fields_of(K.worker .. worker, 'slots', 'accepting')
  if about[2] ~= '1' then return 0 end
  return math.max(0, number(about[1]) - redis.call('ZCARD', K.running .. worker))
end
