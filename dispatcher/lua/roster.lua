-- roster: what a model says of itself whose keys invited machines can write. It leaves out what is
-- too long.
-- KEYS[1]  the model's key prefix
-- ARGV     1 most workers  2 most bytes of a row, as Redis counts them  3 number of counters
--          4… the names of the counters, then those of a worker's fields
-- Returns  {jobs that wait, {counter or false, …}, {worker, attempts in its slots, value or false,
--          …}, …}  a live worker each
-- @include now_ms
-- @include try
local MOST_FIELDS, MOST_NAME_BYTES = 256, 256
local most_workers, most_bytes, counters = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local first_field = 4 + counters

local function is_small(row)
  local fields = try('HLEN', row)
  return fields and fields > 0 and fields <= MOST_FIELDS
      and redis.call('MEMORY', 'USAGE', row, 'SAMPLES', '0') <= most_bytes
end

local function values_of(row, first, last)
  return is_small(row) and redis.call('HMGET', row, unpack(ARGV, first, last)) or {}
end

local function about(worker)
  local values = values_of(K.worker .. worker, first_field, #ARGV)
  if #values == 0 then return nil end
  local running = try('ZCOUNT', K.running .. worker, '0', '+inf') or 0
  return {worker, running, unpack(values)}
end

local found = {try('ZCARD', K.queue) or 0, values_of(K.counters, 4, first_field - 1)}
local live = try('ZRANGEBYSCORE', K.workers, now_ms(), '+inf', 'LIMIT', '0', most_workers) or {}
for _, worker in ipairs(live) do
  if #worker <= MOST_NAME_BYTES then found[#found + 1] = about(worker) end
end
return found
