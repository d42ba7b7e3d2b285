-- @include can_take
-- @include slots

-- Of those with room that are about as fast as any with room the one with most of its slots free;
-- nil where all are as fast, or many. One that is not measured yet is tried at once.
local function find_fastest(class)
  local rows, best, fastest, best_part = redis.call('HGETALL', K.speeds), 0, nil, 0
  for i = 1, #rows, 2 do
    local worker, slots, tps = rows[i], string.match(rows[i + 1], '^(%S+) %S+ (%S+)$')
    local speed = number(tps) > 0 and number(tps) or math.huge
    slots = number(slots)
    local part = can_take(class, worker) and slots > 0 and free_slots(worker) / slots or 0
    local is_faster, is_as_fast = speed > NOTICEABLY * best, speed * NOTICEABLY >= best
    if part > 0 and (is_faster or (is_as_fast and part > best_part)) then
      fastest, best_part, best = worker, part, math.max(best, speed)
    end
  end
  return fastest
end
