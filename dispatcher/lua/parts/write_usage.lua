-- @include day_of
-- @include now_ms
-- @include tolerant
-- @include try
-- @include usage_text

-- These sums of a day, and whether one of them is new.
local function read_sums(key, names)
  local sums, found, has_new = {}, fields_of(key, unpack(names)), false
  for i, name in ipairs(names) do
    sums[name] = found[i] and read_usage(found[i])
    has_new = has_new or not found[i]
  end
  return sums, has_new
end

local function write_sums(key, sums, ttl_ms, has_new)
  local values = {}
  for name, sum in pairs(sums) do
    values[#values + 1], values[#values + 2] = name, usage_text(sum)
  end
  try('HSET', key, unpack(values))
  if has_new then try('PEXPIRE', key, ttl_ms) end
end

local function with(sum, more)
  sum = sum or read_usage('')
  for _, what in ipairs(USED) do sum[what] = sum[what] + more[what] end
  return sum
end

-- End users have sums of their own beside their tenant's; those beyond the first ones share one.
local function write_users(key, used, tenants)
  local names, changed = {}, {}
  for name, more in pairs(used) do
    names[#names + 1], names[#names + 2] = name, more.tenant .. '|' .. OTHER_USERS
  end
  local sums, has_new = read_sums(key, names)
  for name, more in pairs(used) do
    local field, tenant = name, tenants[more.tenant]
    if not sums[name] and (tenant.users or 0) < USERS_COUNTED then
      tenant.users = (tenant.users or 0) + 1
    elseif not sums[name] then
      field = more.tenant .. '|' .. OTHER_USERS
    end
    sums[field] = with(sums[field], more)
    changed[field] = sums[field]
  end
  write_sums(key, changed, USERS_TTL_MS, has_new)
end

-- Adds what the call has counted to the sums of the day.
local function write_usage(c)
  local used, names = c.used, {}
  local day = day_of(c.now or now_ms())
  c.used = nil
  for tenant in pairs(used.tenants) do names[#names + 1] = tenant end
  local sums, has_new = read_sums(K.usage .. day, names)
  for tenant, more in pairs(used.tenants) do sums[tenant] = with(sums[tenant], more) end
  if used.has_users then write_users(K.usage_users .. day, used.users, sums) end
  write_sums(K.usage .. day, sums, USAGE_TTL_MS, has_new)
end
