-- weigh: how much of Redis' memory a part of a model's keys takes.
-- KEYS[1]  the model's key prefix
-- ARGV     1 cursor of SCAN (0 at first)  2 pattern of the model's keys  3 how many keys of the
--          whole server to look at  4 most elements of one key
-- Returns  {next cursor (0 at the end), bytes}  -1 bytes: a key has more elements
-- @include numbers
local most_elements = tonumber(ARGV[4])
local COUNTED_BY = {
  string = 'STRLEN', hash = 'HLEN', zset = 'ZCARD', set = 'SCARD', list = 'LLEN', stream = 'XLEN',
}

-- A sample might miss what is large.
local function bytes_of(key)
  local kind = redis.call('TYPE', key).ok
  local elements = kind == 'string' and 1 or redis.call(COUNTED_BY[kind] or 'EXISTS', key)
  if elements > most_elements then return nil end
  return redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0') or 0
end

local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
local bytes = 0
for _, key in ipairs(page[2]) do
  local more = bytes_of(key)
  if not more then return {page[1], '-1'} end
  bytes = bytes + more
end
return {page[1], digits(bytes)}
