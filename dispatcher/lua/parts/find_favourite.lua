-- @include can_take
-- @include candidates
-- @include favourites
-- @include job_at
-- @lazy remove
-- @include suspects

-- The oldest jobs that prefer this worker, those of the least served tenants first.
local function favourites_in_turn(c)
  local places, rank = {}, {}
  for _, place in ipairs(favourites(c)) do
    if sequence_of(place) and split_place(place) then places[#places + 1] = place end
  end
  if #places < 2 then return places end
  for i, place in ipairs(places) do
    local _, tier, tenant = split_place(place)
    rank[place] = (FEW_OF_LEVEL + 1) * #places + i
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
  local span = FLEETS_OVERTAKEN * c.slots * redis.call('HLEN', K.speeds)
  return at and head and first and user_first and at[1] == tier and own and user_own
      and own - first[2] <= QUANTUM and user_own - user_first[2] <= QUANTUM
      and sequence_of(place) - sequence_of(head) <= span
end

-- A job that prefers this worker, but for suspects; see choice.lua. With `anyhow` everything else
-- is left to others.
local function find_favourite(c, anyhow)
  for _, place in ipairs(favourites_in_turn(c)) do
    local class, tier, tenant, user = split_place(place)
    if can_take(class, c.worker) and redis.call('ZSCORE', turns(class, tier), tenant)
        and (anyhow or is_near(c, place, class, tier, tenant, user)) then
      local job = job_at(c, place)
      if job.obstacle then
        remove(c, job)
        return CHANGED
      end
      if not is_of_other_protocol(job) and not is_suspect(c, job) then return job end
    end
  end
end
