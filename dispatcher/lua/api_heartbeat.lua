-- api_heartbeat: the api replica lives, has read this far, and waits for these jobs.
-- KEYS[1]  the model's key prefix
-- ARGV     1 api  2 lease ms  3 last entry read ('0-0': none)  4 bytes read since the last
--            heartbeat
--          5 a random id: becomes the boot id if this Redis has none
--          6… pairs of a job waited for and its generation
-- Returns  {boot id, last entry of the reply stream, now (Unix ms), id, …}  the ids are jobs that
--          the api has to submit again, under a newer generation. Redis doesn't know them, or knows
--          an older generation, or has lost what they said while the api was taken for dead and had
--          no stream. A changed boot id, or a last entry before the one read, says that data was
--          lost: read again from '0-0'.
-- @include call
-- @include now_ms
-- @include flaws
-- @include guarded
-- @lazy make_heard
-- @lazy retire
-- @lazy tell_of_flaw
local api, lease_ms, read_to, read_bytes, boot = unpack(ARGV, 1, 5)
local stream = K.replies .. api
c.now = now_ms()

-- Returns whether it was made.
local function make_stream()
  local is_new = redis.call('EXISTS', stream) == 0
  if is_new then
    redis.call('XADD', stream, '*', 'hello', api)
    redis.call('DEL', K.api .. api)
  end
  return is_new
end

redis.call('XTRIM', stream, 'MINID', read_to)  -- first: after a removal it passes at maxmemory too
redis.call('HSETNX', K.counters, 'boot', boot)
redis.call('ZADD', K.apis, c.now + lease_ms, api)
local made = make_stream()
redis.call('HINCRBY', K.api .. api, 'read_bytes', read_bytes)
redis.call('HSET', K.api .. api, 'protocol', PROTOCOL)
redis.call('PEXPIRE', K.api .. api, WORKER_TTL_MS)
redis.call('PEXPIRE', stream, WORKER_TTL_MS)
local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
local answer = {redis.call('HGET', K.counters, 'boot'), last and last[1] or '0-0', digits(c.now)}

-- Whether the api will never hear how the job ended: the entry that said so is gone, with the
-- stream that was before this one.
local is_all_read = made or (last and last[1] == read_to)
local function is_unheard(state)
  return (is_all_read and FINAL[state]) or (made and state ~= 'queued')
end

local function look_at(id, generation)
  local said = fields_of(K.job .. id, 'state', 'generation', 'untold')
  if said[2] ~= generation then return false end
  if said[3] == '1' then tell_of_flaw(api, id, generation) end
  return not is_unheard(said[1]) or make_heard(c, api, id, generation)
end

return conduct(function()
  for i = 6, #ARGV, 2 do
    local id = ARGV[i]
    local is_well, is_known = guarded(c, look_at, id, ARGV[i + 1])
    if not is_well then retire(c, id, UNFIT)
    elseif not is_known then answer[#answer + 1] = id end
  end
  return answer
end)
