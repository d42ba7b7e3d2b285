-- free_key: an owner's answer will not be kept, so its key may be used again.
-- KEYS[1]  the prefix of kept answers
-- ARGV     1 name of the answer  2 owner  3 '1': only if nobody waits for it
-- Returns  1: the key is not the owner's (any more); 0: somebody waits for the answer
-- @include now_ms
local name, owner, if_unwaited = unpack(ARGV)
local key = K.kept .. name
local known = redis.call('HMGET', key, 'owner', 'waited_for_until')
if known[1] ~= owner then return 1 end
if if_unwaited == '1' and (tonumber(known[2] or '') or 0) > now_ms() then return 0 end
redis.call('DEL', key)
return 1
