-- @include counters

local function end_job(c, id, state, ...)
  redis.call('DEL', K.body .. id)
  redis.call('ZREM', K.deadlines, id)
  redis.call('HSET', K.job .. id, 'state', state, ...)
  redis.call('PEXPIRE', K.job .. id, DONE_TTL_MS)
  count(c, state, 1)
end
