-- register: a bridge joins, or joins again after it was fenced.
-- KEYS[1]  the model's key prefix
-- ARGV     1 worker  2 epoch (random, new at each registration)  3 lease ms  4 slots
--          5 accepting (1 or 0)  6… pairs of field and value: what redis-cli shows of it
-- Returns  {'OK', n}  n attempts of an earlier epoch were given back
local worker, epoch, now = ARGV[1], ARGV[2], now_ms()
local recovered = 0
if not is_registered(worker, epoch) then
  for _, token in ipairs(redis.call('ZRANGE', K.running .. worker, 0, -1)) do
    take_off(worker, token)
    recover(token, now, '{"code":"worker_failed","message":"The worker restarted."}')
    recovered = recovered + 1
  end
  redis.call('DEL', K.cancels .. worker, K.worker .. worker)
end
redis.call('HSET', K.worker .. worker, 'epoch', epoch, 'slots', ARGV[4], 'accepting', ARGV[5],
  unpack(ARGV, 6))
redis.call('PEXPIRE', K.worker .. worker, WORKER_TTL_MS)
redis.call('ZADD', K.workers, digits(now + tonumber(ARGV[3])), worker)
publish_speed(worker)
ring_worker(worker)
return {'OK', recovered}
