-- @include can_take
-- @include favourites
-- @include levels
-- @include places

-- The weight of the tier of the most urgent job that prefers this worker and whose tenant may have
-- one more run; 0 if there is none.
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
