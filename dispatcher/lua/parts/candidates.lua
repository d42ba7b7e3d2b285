-- Who waits, and the jobs at the heads of the lines.
-- @include classes
-- @include levels
-- @include places

-- Of equal tiers the more urgent one is first.
local function tier_is_before(a, b)
  return a[2] < b[2] or (a[2] == b[2] and TIER_WEIGHTS[a[1]] > TIER_WEIGHTS[b[1]])
end

local function is_before(a, b)
  return a[2] < b[2] or (a[2] == b[2] and a[1] < b[1])
end

-- Those that wait at one level, the least first, over all classes that this worker may take.
local function waiting_at(c, parent, most)
  most = most or FEW_OF_LEVEL
  local name = most .. parent
  if c.seen_turns[name] then return c.seen_turns[name] end
  local found, seen = {}, {}
  for _, class in ipairs(c.mine) do
    local rows = redis.call('ZRANGE', turns(class, parent), 0, most - 1, 'WITHSCORES')
    for i = 1, #rows, 2 do
      local is_known = parent ~= '' or TIER_WEIGHTS[rows[i]]
      if is_known and not seen[rows[i]] then
        found[#found + 1] = {rows[i], tonumber(rows[i + 1])}
      end
      seen[rows[i]] = true
    end
  end
  if parent == '' then table.sort(found, tier_is_before)
  elseif #c.mine > 1 then table.sort(found, is_before) end
  c.seen_turns[name] = found
  return found
end

-- A user's oldest jobs over all these classes, this many of each, and members of the queue that are
-- no places.
local function oldest_of(c, path, most)
  local places, unreadable = {}, {}
  for _, class in ipairs(c.mine) do
    for _, place in ipairs(flow_heads(class, path, most)) do
      local list = sequence_of(place) and places or unreadable
      list[#list + 1] = place
    end
  end
  if #c.mine > 1 then
    table.sort(places, function(a, b) return sequence_of(a) < sequence_of(b) end)
  end
  return places, unreadable
end
