-- renew_keys: the answers to these requests still grow.
-- KEYS[1]  the prefix of kept answers
-- ARGV     1 lease (ms)  2… pairs of the name of an answer and its owner
-- Returns  how many keys are still their owners'
local renewed = 0
for i = 2, #ARGV, 2 do
  local key = K.kept .. ARGV[i]
  if redis.call('HGET', key, 'owner') == ARGV[i + 1] then
    redis.call('PEXPIRE', key, ARGV[1])
    renewed = renewed + 1
  end
end
return renewed
