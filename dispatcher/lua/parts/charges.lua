-- What running jobs are expected to cost, by path. A call reads each once, and writes what it has
-- changed at its end.
-- @include counters
-- @include levels

local function read_charges(c, paths)
  local unknown = {}
  for _, path in ipairs(paths) do
    if not c.charged[path] then unknown[#unknown + 1] = path end
  end
  if #unknown == 0 then return end
  local found = fields_of(K.charged, unpack(unknown))
  for i, path in ipairs(unknown) do
    local cost = tonumber(found[i] or '0')
    if not cost then set_counter(c, 'recount', 1) end
    c.charged[path] = number(cost)
  end
end

local function read_charges_of(c, job)
  local of_tier, of_tenant, of_user = unpack(levels(job))
  local tier, tenant, user = of_tier[4], of_tenant[4], of_user[4]
  if c.charged[tier] and c.charged[tenant] and c.charged[user] then return end
  read_charges(c, {tier, tenant, user})
end

local function write_charges(c)
  if not c.has_charged then return end
  local kept, gone = {}, {}
  for path, cost in pairs(c.charged) do
    if cost == 0 then gone[#gone + 1] = path
    else kept[#kept + 1], kept[#kept + 2] = path, cost end
  end
  c.has_charged = false
  for i = 1, #gone, VALUES_AT_ONCE do
    redis.call('HDEL', K.charged, unpack(gone, i, math.min(i + VALUES_AT_ONCE - 1, #gone)))
  end
  for i = 1, #kept, VALUES_AT_ONCE do
    redis.call('HSET', K.charged, unpack(kept, i, math.min(i + VALUES_AT_ONCE - 1, #kept)))
  end
end
