-- keep_answer: an answer is complete, and kept for requests that come again.
-- KEYS[1]  the prefix of kept answers
-- ARGV     1 name of the answer: tenant|hash  2 fingerprint of the request  3 owner
--          4 head  5 body  6 for how long (ms)  7, 8 most bytes of one tenant, and of all together
-- Returns  1: it is kept, also for a repeated call; 0: it is not, because another owner has the
--          key, or there is no room
-- A tenant's oldest answers make room for its new one. Where all tenants together have too much,
-- the tenant that has most loses its oldest ones.
-- @include now_ms
local name, fingerprint, owner, head, body, keep_ms, most_of_tenant, most_of_all = unpack(ARGV)
local tenant = string.match(name, '^[^|]*')
local size = #head + #body + KEPT_BESIDE_BYTES
local entry = name .. '|' .. string.format('%.0f', size)
local key, left = K.kept .. name, MOST_FORGOTTEN

local function held_by(who) return tonumber(redis.call('ZSCORE', K.kept_bytes, who) or '0') end
local function held_by_all() return tonumber(redis.call('GET', K.kept_total) or '0') end

-- Takes an answer out of the books; returns its name.
local function strike(old)
  local whose, hash, bytes = string.match(old, '^([^|]*)|([^|]*)|(%d+)$')
  redis.call('ZREM', K.kept_until, old)
  if not whose then return '' end
  redis.call('ZREM', K.kept_of .. whose, old)
  redis.call('DECRBY', K.kept_total, bytes)
  if tonumber(redis.call('ZINCRBY', K.kept_bytes, '-' .. bytes, whose)) <= 0 then
    redis.call('ZREM', K.kept_bytes, whose)
  end
  return whose .. '|' .. hash
end

-- Answers that are over have gone by themselves.
local function strike_those_over()
  local over = redis.call('ZRANGEBYSCORE', K.kept_until, '-inf', now_ms(), 'LIMIT', 0, left)
  for _, old in ipairs(over) do strike(old) end
end

-- Returns whether there was one.
local function forget_oldest(whose)
  local old = redis.call('ZRANGE', K.kept_of .. whose, 0, 0)[1]
  if not old then
    redis.call('ZREM', K.kept_bytes, whose)
    return false
  end
  redis.call('DEL', K.kept .. strike(old))
  redis.call('ZREM', K.kept_of .. whose, old)
  left = left - 1
  return true
end

local function make_room()
  while left > 0 and held_by(tenant) + size > tonumber(most_of_tenant) do
    if not forget_oldest(tenant) then break end
  end
  while left > 0 and held_by_all() + size > tonumber(most_of_all) do
    local most = redis.call('ZREVRANGE', K.kept_bytes, 0, 0)[1]
    if not most then
      redis.call('DEL', K.kept_total)
      break
    end
    forget_oldest(most)
  end
  return held_by(tenant) + size <= tonumber(most_of_tenant)
    and held_by_all() + size <= tonumber(most_of_all)
end

local function enter()
  local ends_at = now_ms() + keep_ms
  if redis.call('ZADD', K.kept_until, ends_at, entry) == 1 then
    redis.call('INCRBY', K.kept_total, size)
    redis.call('ZINCRBY', K.kept_bytes, size, tenant)
  end
  redis.call('ZADD', K.kept_of .. tenant, ends_at, entry)
  for _, book in ipairs({K.kept_until, K.kept_of .. tenant, K.kept_bytes, K.kept_total}) do
    redis.call('PEXPIRE', book, keep_ms)
  end
end

local known = redis.call('HMGET', key, 'owner', 'fingerprint', 'head')
if known[3] then return known[2] == fingerprint and known[3] == head and 1 or 0 end
if known[1] and known[1] ~= owner then return 0 end
strike_those_over()
redis.call('DEL', key)
if not make_room() then return 0 end
redis.call('HSET', key, 'fingerprint', fingerprint, 'head', head, 'body', body)
redis.call('PEXPIRE', key, keep_ms)
enter()
return 1
