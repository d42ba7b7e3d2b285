-- What a worker's attempts take is never stored, but counted: those that need no slot have a
-- negative score in `running`, all others a positive one.

local function slots_taken(worker)
  return redis.call('ZCOUNT', K.running .. worker, 0, '+inf')
end

local function side_places_taken(worker)
  return redis.call('ZCOUNT', K.running .. worker, '-inf', '(0')
end
