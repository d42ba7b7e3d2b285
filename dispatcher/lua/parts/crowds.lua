-- How many conversations each worker has.
-- @include is_full
-- @include other_workers
-- @include taken

-- How many times as long an answer takes there as here. 1 if less than twice as long, since busy
-- servers have their ups and downs, or if not measured.
local function times_as_long(c, decode_tps)
  local own, theirs = number(c.about.decode_tps), number(decode_tps)
  return theirs > 0 and own >= 2 * theirs and own / theirs or 1
end

-- How many jobs each slot of a worker would have with this many more. Those that wait for its cache
-- count.
local function crowd_of(other, its_slots, more)
  local jobs = slots_taken(other) + redis.call('ZCARD', K.prefers .. other)
  return (jobs + more) / its_slots
end

-- The worker with the fewest conversations for its slots and speed, if it has fewer than this one
-- and all are full: one with room takes what it wants. Of a large fleet only the few that renewed
-- last are looked at.
local function find_less_crowded(c, class)
  -- Where a slot has come free a conversation goes on in a moment.
  local least, found = crowd_of(c.worker, c.slots, 2), nil
  for _, other in workers_seen(CROWDS_COMPARED) do
    local its = fields_of(K.worker .. other, 'accepting', 'slots', 'decode_tps')
    if other ~= c.worker and its[1] == '1' and can_take(class, other) then
      if not is_full(other) then return nil end
      local crowd = crowd_of(other, number(its[2]), 1) * times_as_long(c, its[3])
      if crowd < least or (found and crowd == least and other < found) then
        least, found = crowd, other
      end
    end
  end
  return found
end
