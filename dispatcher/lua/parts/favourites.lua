-- Jobs that prefer the worker that claims.
-- @include can_take
-- @include candidates

local function favourites(c)
  return redis.call('ZRANGE', K.prefers .. c.worker, 0, FAVOURITES - 1)
end

-- The weight of the tier of the most urgent of them whose tenant may have one more run; 0 if there
-- is none.
local function urgency(c)
  if c.most_urgent then return c.most_urgent end
  c.most_urgent = 0
  for _, place in ipairs(favourites(c)) do
    local class, tier, tenant = split_place(place)
    if (TIER_WEIGHTS[tier] or 0) > c.most_urgent and can_take(class, c.worker)
        and redis.call('ZSCORE', turns(class, tier), tenant) then
      c.most_urgent = TIER_WEIGHTS[tier]
    end
  end
  return c.most_urgent
end

-- The oldest of them, those of the least served tenants first.
local function favourites_in_turn(c)
  local places, rank = {}, {}
  for _, place in ipairs(favourites(c)) do
    if sequence_of(place) and split_place(place) then places[#places + 1] = place end
  end
  if #places < 2 then return places end
  for i, place in ipairs(places) do
    local _, tier, tenant = split_place(place)
    rank[place] = (FAN + 1) * #places + i
    for nth, row in ipairs(waiting_at(c, tier)) do
      if row[1] == tenant then rank[place] = math.min(rank[place], nth * #places + i) end
    end
  end
  table.sort(places, function(a, b) return rank[a] < rank[b] end)
  return places
end

-- Whether nobody is passed over for long if this job goes first.
local function is_near(c, place, class, tier, tenant, user)
  local path = tier .. '|' .. tenant
  local at, head = waiting_at(c, '')[1], oldest_of(c, path .. '|' .. user, 1)[1]
  local first, own = waiting_at(c, tier)[1], redis.call('ZSCORE', turns(class, tier), tenant)
  local user_first = waiting_at(c, path)[1]
  local user_own = redis.call('ZSCORE', turns(class, path), user)
  local span = SPAN * c.slots * redis.call('ZCARD', K.workers)
  return at and head and first and user_first and at[1] == tier and own and user_own
      and own - first[2] <= QUANTUM and user_own - user_first[2] <= QUANTUM
      and sequence_of(place) - sequence_of(head) <= span
end
