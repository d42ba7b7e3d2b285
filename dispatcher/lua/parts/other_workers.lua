-- The workers to which a claim may leave a job.
-- @include can_take
-- @include counters
-- @include slots
-- @include suspects

local function workers_seen(most)
  return ipairs(redis.call('ZREVRANGE', K.workers, 0, most - 1))
end

-- Seconds of an average job; 0 of a worker that is not measured yet, and so takes everything.
local function seconds_of(c, other)
  local speed = fields_of(K.worker .. other, 'prompt_tps', 'decode_tps')
  local prompt_tps, decode_tps = number(speed[1]), number(speed[2])
  if prompt_tps <= 0 or decode_tps <= 0 then return 0 end
  return number(counter(c, 'mean_prompt_tokens'), 1) / prompt_tps
      + number(counter(c, 'mean_completion_tokens')) / decode_tps
end

-- One with room that is less patient: it may have waited for the ring that came here. Only one
-- that is faster, if not by much, or not measured: so two never call each other.
local function find_less_patient(c, class)
  local own = seconds_of(c, c.worker)
  for _, other in workers_seen(FLEET_LOOKED_AT) do
    if other ~= c.worker and can_take(class, other) and has_room_for(class, other)
        and seconds_of(c, other) < own then
      return other
    end
  end
end

-- Whether a faster worker takes jobs of this class; and one to call that has room for it now.
local function faster_worker(c, class)
  if c.faster_of[class] then return unpack(c.faster_of[class]) end
  local found, with_room = false, nil
  for _, other in ipairs(c.faster) do
    if fields_of(K.worker .. other, 'accepting')[1] == '1' and can_take(class, other) then
      found = true
      if has_room_for(class, other) then with_room = with_room or other end
    end
  end
  if found then with_room = with_room or find_less_patient(c, class) end
  c.faster_of[class] = {found, with_room}
  return found, with_room
end

-- Whether another worker takes jobs of this class; and one to call that has room for it now.
local function another_worker(c, job)
  local found, with_room = false, nil
  for _, other in workers_seen(FLEET_LOOKED_AT) do
    local theirs = other ~= c.worker
        and fields_of(K.worker .. other, 'accepting', 'suspect') or {}
    if theirs[1] == '1' and can_take(job.class, other) then
      found = true
      local may = not (is_suspect(c, job) and theirs[2])
      if may and not with_room and has_room_for(job.class, other) then with_room = other end
    end
  end
  return found, with_room
end
