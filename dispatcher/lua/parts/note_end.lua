-- @include counters

-- Of a job that nobody can run any more.
local function note_end(c, id, state, ...)
  redis.call('HSET', K.job .. id, 'state', state, ...)
  redis.call('PEXPIRE', K.job .. id, DONE_TTL_MS)
  count(c, state, 1)
end
