-- @include can_take
-- @include numbers
-- @include taken

-- The measured speeds of all that take jobs: {worker, slots, tokens per second}, the fastest first.
-- One that is not measured yet is tried at once.
local function by_speed()
  local rows, found = redis.call('HGETALL', K.speeds), {}
  for i = 1, #rows, 2 do
    local slots, tps = string.match(rows[i + 1], '^(%S+) %S+ (%S+)$')
    found[#found + 1] = {rows[i], number(slots), number(tps) > 0 and number(tps) or math.huge}
  end
  table.sort(found, function(a, b) return a[3] > b[3] or (a[3] == b[3] and a[1] < b[1]) end)
  return found
end

-- Of those with room that are about as fast as the fastest of them, the one with most of its slots
-- free; nil where none has room.
local function find_fastest(class)
  local best, fastest, best_part = 0, nil, 0
  for _, row in ipairs(by_speed()) do
    local worker, slots, speed = unpack(row)
    if speed * FASTER_RATIO < best then break end
    if slots > 0 and can_take(class, worker) then
      local part = 1 - slots_taken(worker) / slots
      if part > best_part then fastest, best_part, best = worker, part, math.max(best, speed) end
    end
  end
  return fastest
end
