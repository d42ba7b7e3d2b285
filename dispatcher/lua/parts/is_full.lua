-- @include numbers
-- @include tolerant

-- A full bridge waits on its own bell only, so whoever frees its slot must ring that.
local function is_full(worker)
  local slots = fields_of(K.worker .. worker, 'slots')[1]
  return redis.call('ZCARD', K.running .. worker) >= number(slots)
end
