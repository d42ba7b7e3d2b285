-- begin_once: a request comes with a key of its client's: may it run, or has it an answer?
-- KEYS[1]  the prefix of kept answers
-- ARGV     1 name of the answer  2 fingerprint of the request  3 owner  4 lease (ms)
--          5 for how long a request that asks is believed to wait (ms)
-- Returns  {'RUN'}              the owner has the key as long as it renews it; also for a repeated
--                               call
--          {'RUNS'}             another owner has it, and hears that somebody waits for its answer
--          {'KEPT', head, body} it has an answer
--          {'OTHER'}            the key is that of another request
-- @include now_ms
local name, fingerprint, owner, lease_ms, waits_ms = unpack(ARGV)
local key = K.kept .. name
local known = redis.call('HMGET', key, 'fingerprint', 'owner', 'head')
if not known[1] then
  redis.call('HSET', key, 'fingerprint', fingerprint, 'owner', owner)
  redis.call('PEXPIRE', key, lease_ms)
  return {'RUN'}
end
if known[1] ~= fingerprint then return {'OTHER'} end
if known[3] then return {'KEPT', known[3], redis.call('HGET', key, 'body')} end
if known[2] == owner then return {'RUN'} end
redis.call('HSET', key, 'waited_for_until', now_ms() + waits_ms)
return {'RUNS'}
