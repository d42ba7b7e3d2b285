-- @include counters

local function is_parked(c, tenant)
  return counted(c, 'parked') > 0 and redis.call('SISMEMBER', K.parked, tenant) == 1
end
