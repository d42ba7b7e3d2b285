-- hold: requests of a tenant are still open.
-- KEYS[1]  the tenant's key prefix
-- ARGV     1 lease ms  2… pairs of an end user ('': the tenant itself) and a request
-- Returns  {}
-- @include admitted
-- @include now_ms
local lease_ms, now, held = tonumber(ARGV[1]), now_ms(), {}

for i = 2, #ARGV, 2 do
  local key = open_key(ARGV[i])
  redis.call('ZADD', key, now + lease_ms, ARGV[i + 1])
  held[key] = true
end
for key in pairs(held) do redis.call('PEXPIRE', key, WORKER_TTL_MS) end
return {}
