-- emit: passes on what the jobs of one api have produced since the last emit.
-- KEYS[1]  the model's key prefix
-- ARGV     1 worker  2 epoch  3 api  4 lease ms  5 most unread bytes in the api's reply stream
--          6… triples: attempt id, visible (1: a client sees it; told once is enough), packed
--          frames (dispatcher/frames.py)
-- Returns  {'FENCED'}          register again; nothing was passed on
--          {'GONE'}            the api is dead: nobody waits for these jobs
--          {'SLOW'}            the api does not keep up; nothing was passed on
--          {'OK', attempt id, …}  passed on, but for these, which are no longer this worker's
-- A repeated emit shows the same frames twice; the api drops those whose sequence number it has.
-- @include attempts
-- @include held
-- @include now_ms
-- @include registration
-- @include try
local worker, epoch, api, lease_ms, most_unread = unpack(ARGV, 1, 5)
local about, now = fields_of(K.worker .. worker, 'epoch', 'renewed_ms'), now_ms()
if about[1] ~= epoch then return {'FENCED'} end
-- What renew has just done need not be done again.
if now - number(about[2]) > RENEWAL_MS then extend_lease(worker, now + lease_ms) end

local attempt_ids = {}
for i = 6, #ARGV, 3 do attempt_ids[#attempt_ids + 1] = ARGV[i] end
local is_held, answer, fields, bytes, seen = held(worker, attempt_ids), {'OK'}, {}, 0, {}
for n, attempt_id in ipairs(attempt_ids) do
  local visible, frames = ARGV[3 * n + 4], ARGV[3 * n + 5]
  if is_held[n] then
    fields[#fields + 1], fields[#fields + 2] = attempt_id, frames
    bytes = bytes + #frames
    if visible == '1' then seen[#seen + 1] = attempt_id end
  else
    answer[#answer + 1] = attempt_id
  end
end
if #fields == 0 then return answer end

local size = fields_of(K.api .. api, 'written_bytes', 'read_bytes')
local unread = number(size[1]) - number(size[2])
if unread > 0 and unread + bytes > tonumber(most_unread) then return {'SLOW'} end
-- Returns whether the api has a stream. At maxmemory Redis refuses what a script writes before it
-- has removed something.
local function add_entry(first, last)
  local command = {'XADD', K.replies .. api, 'NOMKSTREAM', '*', unpack(fields, first, last)}
  local entry = redis.pcall(unpack(command))
  if type(entry) == 'table' and entry.err then
    extend_lease(worker, now + lease_ms)
    entry = redis.call(unpack(command))
  end
  return entry
end

for first = 1, #fields, VALUES_AT_ONCE do
  if not add_entry(first, math.min(first + VALUES_AT_ONCE - 1, #fields)) then return {'GONE'} end
end
redis.call('HINCRBY', K.api .. api, 'written_bytes', bytes)
for _, attempt_id in ipairs(seen) do
  local key = K.job .. (split_attempt_id(attempt_id) or '')
  local is_new = try('HSET', key, 'visible', 1) == 1
  -- Redis has lost the job: nobody would remove what is left of it.
  if is_new and redis.call('HLEN', key) == 1 then redis.call('DEL', key) end
end
return answer
