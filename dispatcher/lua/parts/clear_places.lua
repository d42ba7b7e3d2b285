-- Takes what is no place out of the queue.
local function clear_places(c, places)
  for _, place in ipairs(places) do redis.call('ZREM', K.queue, place) end
  c.seen_turns = {}
  return CHANGED
end
