-- @include is_side
-- @include numbers
-- @include taken
-- @include tolerant

local function free_slots(worker)
  local about = fields_of(K.worker .. worker, 'slots', 'accepting')
  if about[2] ~= '1' then return 0 end
  return math.max(0, number(about[1]) - slots_taken(worker))
end

-- Whether a worker may take one more job of this class now.
local function has_room_for(class, worker)
  if not is_side(class) then return free_slots(worker) > 0 end
  local accepts = fields_of(K.worker .. worker, 'accepting')[1] == '1'
  return accepts and side_places_taken(worker) < SIDE_PLACES
end
