-- @include note_end

local function end_job(c, id, state, ...)
  redis.call('DEL', K.body .. id)
  redis.call('ZREM', K.deadlines, id)
  note_end(c, id, state, ...)
end
