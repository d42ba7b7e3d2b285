-- @include numbers
-- @include taken
-- @include tolerant

-- A bridge hears only the bells of what it has room for: a script that makes room rings its own
-- one.
local function is_full(worker)
  local slots = fields_of(K.worker .. worker, 'slots')[1]
  return slots_taken(worker) >= number(slots)
end
