-- What redis-cli shows of a worker.
-- @include now_ms
-- @include speeds

-- `first` … `last` are pairs of field and value among the arguments.
local function write_worker(c, worker, slots, accepting, first, last)
  local fields = {'slots', slots, 'accepting', accepting, 'renewed_ms', c.now,
    'protocol', PROTOCOL}
  for i = first, last do fields[#fields + 1] = ARGV[i] end
  redis.call('HSET', K.worker .. worker, unpack(fields))
  redis.call('PEXPIRE', K.worker .. worker, WORKER_TTL_MS)
  publish_speed(c, worker)
end
