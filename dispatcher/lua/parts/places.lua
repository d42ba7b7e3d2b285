-- A `place` is a member of the queue: '<class>|<tier>|<tenant>|<user>|<sequence>|<job>'. So the
-- jobs of one user and class, a flow, lie next to each other, oldest first.

-- The class, tier, tenant and user in a place; nil where it is none.
local function split_place(place)
  return string.match(place, '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|')
end

local function sequence_of(place)
  return tonumber(string.match(place, '^[^|]*|[^|]*|[^|]*|[^|]*|(%d+)|[^|]*$'))
end

local function job_of(place)
  return string.match(place, '^.*|(.*)$') or place
end

-- The oldest of a flow.
local function flow_heads(class, path, most)
  local flow = class .. '|' .. path .. '|'
  return redis.call('ZRANGEBYLEX', K.queue, '[' .. flow, '(' .. flow .. '\255', 'LIMIT', 0, most)
end
