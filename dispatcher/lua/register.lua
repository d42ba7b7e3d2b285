-- register: a bridge joins, or joins again after it was fenced.
-- KEYS[1]  the model's key prefix
-- ARGV     1 worker  2 epoch (random, new at each registration)  3 lease ms  4 slots
--          5 accepting (1 or 0)  6… pairs of field and value: what redis-cli shows of it
-- Returns  {'OK', n, now, api, version, …}  n attempts of an earlier epoch were given back; the
--                      time (Unix s); the live apis that speak another protocol
--          {'AGAIN', n}  and more are left: call it again
--          {'TAKEN', worker, renewed, draining (1 or 0)}  nothing was changed: this one with a
--                      lease has the same `server_id`; when it last renewed that itself (Unix ms)
-- @include call
-- @include is_registered
-- @include protocols
-- @include attempts
-- @include bells
-- @include take_off
-- @include registration
-- @include write_worker
-- @lazy recover
local worker, epoch, lease_ms, slots, accepting = unpack(ARGV, 1, 5)
c.now = now_ms()

-- Two would both fill the server's slots.
local function find_rival()
  local server
  for i = 6, #ARGV, 2 do
    if ARGV[i] == 'server_id' then server = ARGV[i + 1] end
  end
  if not server or server == '' then return nil end
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', K.workers, '(' .. digits(c.now), '+inf')) do
    local about = fields_of(K.worker .. other, 'server_id', 'health', 'renewed_ms')
    if other ~= worker and about[1] == server then
      return {'TAKEN', other, about[3] or '0', about[2] == 'draining' and 1 or 0}
    end
  end
end

-- Returns how many attempts of an earlier epoch were given back, and whether these are all.
local function begin_epoch()
  local attempt_ids = redis.call('ZRANGE', K.running .. worker, 0, MOST_RECOVERED - 1)
  for _, attempt_id in ipairs(attempt_ids) do
    take_off(worker, attempt_id)
    recover(c, attempt_id, '{"code":"worker_failed","message":"The worker restarted."}')
  end
  if #attempt_ids == MOST_RECOVERED then return #attempt_ids, false end
  redis.call('DEL', K.cancels .. worker, K.worker .. worker)
  return #attempt_ids, true
end

-- An operator's order holds for each worker that comes to the place.
local function drained_at()
  local place = worker
  for i = 6, #ARGV, 2 do
    if ARGV[i] == 'place' and ARGV[i + 1] ~= '' then place = ARGV[i + 1] end
  end
  return redis.call('ZSCORE', K.drained, place)
end

local function register()
  local rival = find_rival()
  if rival then return rival end
  local recovered, are_all = 0, true
  if not is_registered(worker, epoch) then recovered, are_all = begin_epoch() end
  if not are_all then return {'AGAIN', recovered} end
  redis.call('HSET', K.worker .. worker, 'epoch', epoch)
  local drained = drained_at()
  if drained then redis.call('HSET', K.worker .. worker, 'drained', drained) end
  write_worker(c, worker, slots, drained and '0' or accepting, 6, #ARGV)
  redis.call('ZADD', K.workers, c.now + lease_ms, worker)
  ring_worker(worker)
  return {'OK', recovered, c.now / 1000, unpack(other_apis())}
end

return conduct(register)
