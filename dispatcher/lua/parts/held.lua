-- Which of these attempts a worker holds: a list that has false for each that it doesn't.
local function held(worker, attempt_ids)
  local found = {}
  for first = 1, #attempt_ids, VALUES_AT_ONCE do
    local last = math.min(first + VALUES_AT_ONCE - 1, #attempt_ids)
    local scores = redis.call('ZMSCORE', K.running .. worker, unpack(attempt_ids, first, last))
    for i, score in ipairs(scores) do found[first + i - 1] = score end
  end
  return found
end
