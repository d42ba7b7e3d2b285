-- @include favourites
-- @include places

-- Whether all waiting jobs are of one user and class, and none prefers this worker. The queue is in
-- order: all between two places of a flow are of that flow.
local function is_one_flow(c)
  local first = redis.call('ZRANGE', K.queue, 0, 0)[1]
  local last = redis.call('ZRANGE', K.queue, -1, -1)[1]
  local flow = first and string.match(first, '^[^|]*|[^|]*|[^|]*|[^|]*|')
  return flow and string.sub(last, 1, #flow) == flow and #favourites(c) == 0
end
