-- @include bells
-- @include can_take
-- @include classes
-- @include is_side
-- @include open_claim
-- @lazy part_of
-- @lazy is_one_flow
-- @lazy take_in_turn
-- @lazy take_sides
-- @lazy take_together

-- How many jobs to take at most, and whether that is less than wanted since so many of the model
-- run.
local function limit_of(c)
  local wanted = math.max(0, math.min(c.most, room(c, c.running), MOST_CLAIMED))
  local slack, waiting = math.floor(c.slots / SLACK_PARTS), queued_for_slots(c)
  if math.min(wanted, waiting) > 1 and c.running + waiting > slack then
    wanted = math.min(wanted, part_of(c, slack))
  end
  local left = c.max_running > 0 and c.max_running - counted(c, 'running') or wanted
  if left >= wanted then return wanted, false end
  return math.max(0, left), true
end

-- Takes up to `wanted` jobs for slots.
local function take(c, wanted)
  for _, class in ipairs(all_classes(c)) do
    if not is_side(class) and can_take(class, c.worker) then c.mine[#c.mine + 1] = class end
  end
  if c.known.parked == nil then
    read_counters(c, 'parked', 'running', 'queued_bytes', 'suspected_until_ms')
  end
  local is_free = #c.mine == #all_classes(c) and not c.is_slow and counted(c, 'parked') == 0
  -- For one job it would cost more to ask than it saves.
  if is_free and (queued(c) <= wanted or (wanted > 1 and is_one_flow(c)))
      and take_together(c, math.min(wanted, queued(c))) then
    return
  end
  if #c.mine > 0 then take_in_turn(c, wanted) end
end

-- Takes as many jobs as are wanted, where `running` slots are taken. Returns the free slots that
-- are left, and whether it took all it wanted: of what needs a slot, and of what needs none.
local function take_jobs(c, running)
  c.running, c.live_apis, c.faster_of = running, {}, {}
  local wanted, is_capped = limit_of(c)
  if is_capped then set_counter(c, 'capped', 1) end
  if wanted > 0 and queued_for_slots(c) > 0 then take(c, wanted) end
  local in_slots, has_sides = #c.jobs, queued(c) > queued_for_slots(c)
  local is_filled = c.most >= 0 and not is_capped and in_slots == wanted
  local are_sides_filled = has_sides and take_sides(c)
  if running == 0 and #c.jobs > 0 then
    redis.call('PEXPIRE', K.running .. c.worker, WORKER_TTL_MS)
  end
  -- A claim calls those that it leaves jobs to by their own bells: it would hear the shared one
  -- itself.
  for other in pairs(c.called) do ring_worker(other) end
  return room(c, running) - in_slots, is_filled, are_sides_filled
end
