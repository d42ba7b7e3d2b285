-- @include classes
-- @include counters
-- @include taken

-- The accepting workers that are not noticeably slower than this one, itself included: their
-- names, and all their slots.
local function peers_of(c)
  local rows, names, all_slots = redis.call('HGETALL', K.speeds), {}, 0
  local own = number(c.about.decode_tps)
  for i = 1, #rows, 2 do
    local slots, tps = string.match(rows[i + 1], '^(%S+) %S+ (%S+)$')
    tps = number(tps)
    if rows[i] == c.worker or own <= 0 or tps <= 0 or tps * FASTER_RATIO >= own then
      names[#names + 1], all_slots = rows[i], all_slots + number(slots)
    end
  end
  return names, all_slots
end

local function running_on(c, names)
  if #names > PEERS_COUNTED then return counted(c, 'running') end
  local running = 0
  for _, name in ipairs(names) do
    running = running + (name == c.worker and c.running
      or slots_taken(name))
  end
  return running
end

-- How many waiting jobs a worker takes at once, so that a burst spreads over the workers with room:
-- its slots become as full as those of its peers will be, or a little fuller. At least one: it was
-- called, and may be the only one that hears.
local function part_of(c, slack)
  local names, all_slots = peers_of(c)
  if #names < 2 or all_slots <= 0 then return queued_for_slots(c) end
  local all_jobs = running_on(c, names) + queued_for_slots(c)
  return math.max(1, math.ceil(all_jobs * c.slots / all_slots) + slack - c.running)
end
