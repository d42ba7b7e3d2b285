-- api_heartbeat: the api replica lives, has read this far, and waits for these jobs.
-- KEYS[1]  the model's key prefix
-- ARGV     1 api  2 lease ms  3 last entry read ('0-0': none)  4 bytes read since the last heartbeat
--          5 a random id: becomes the boot id if this Redis has none  6… ids of the jobs waited for
-- Returns  {boot id, last entry of the reply stream, id, …}  the ids are jobs that Redis does not know:
--          it lost them, and they may be enqueued again under the same id. A changed boot id, or a last
--          entry before the one read, says that data was lost: read again from '0-0'. Jobs that ended
--          while the api was taken for dead, and its stream removed, are told as failed.
local api, now = ARGV[1], now_ms()
local stream = K.replies .. api
redis.call('XTRIM', stream, 'MINID', ARGV[3])  -- first: after a removal it passes at maxmemory too
redis.call('HSETNX', K.counters, 'boot', ARGV[5])
redis.call('ZADD', K.apis, digits(now + tonumber(ARGV[2])), api)
local made = redis.call('EXISTS', stream) == 0
if made then
  redis.call('XADD', stream, '*', 'hello', api)
  redis.call('DEL', K.api .. api)
end
redis.call('HINCRBY', K.api .. api, 'read_bytes', ARGV[4])
redis.call('PEXPIRE', K.api .. api, WORKER_TTL_MS)
redis.call('PEXPIRE', stream, WORKER_TTL_MS)
local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
local answer = {redis.call('HGET', K.counters, 'boot'), last and last[1] or '0-0'}
for i = 6, #ARGV do
  local state = redis.call('HGET', K.job .. ARGV[i], 'state')
  if not state then
    answer[#answer + 1] = ARGV[i]
  elseif made and FINAL[state] then
    tell(api, ARGV[i] .. ':', 'failed',
      '{"code":"worker_failed","message":"The API was cut off from Redis while the job ended."}')
  end
end
return answer
