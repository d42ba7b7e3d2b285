-- What people are told of workers that went away in the last hour: `gone` says when, and
-- `gone:<worker>` why, and what became of their jobs. Nothing depends on it: what is damaged there
-- is left alone.
-- @include tolerant
-- @include try

-- One more of its jobs became this: a verdict of recover.lua.
local function count_gone(worker, verdict)
  try('HINCRBY', K.gone_of .. worker, verdict, 1)
  try('PEXPIRE', K.gone_of .. worker, GONE_MS)
end

-- A job that had lost this worker has become this.
local function move_gone(worker, verdict)
  if number(fields_of(K.gone_of .. (worker or ''), 'lost')[1]) > 0 then
    try('HINCRBY', K.gone_of .. worker, 'lost', -1)
    count_gone(worker, verdict)
  end
end

-- Returns whether it is noted: one without a server could only have loaded a model.
local function note_gone(c, worker, how)
  local names = {'server', 'host', 'address', 'health', 'reason', 'drained', 'invited'}
  local about, fields = fields_of(K.worker .. worker, unpack(names)), {'how', how}
  if not about[1] or about[1] == '' then
    return fields_of(K.gone_of .. worker, 'how')[1]
  end
  for i, name in ipairs(names) do
    if about[i] and #about[i] <= MOST_GONE_BYTES then
      fields[#fields + 1], fields[#fields + 2] = name, about[i]
    end
  end
  try('HSET', K.gone_of .. worker, unpack(fields))
  try('PEXPIRE', K.gone_of .. worker, GONE_MS)
  try('ZREMRANGEBYSCORE', K.gone, '-inf', c.now - GONE_MS)
  try('ZADD', K.gone, c.now, worker)
  try('PEXPIRE', K.gone, GONE_MS)
  for _, oldest in ipairs(try('ZRANGE', K.gone, 0, -1 - MOST_GONE) or {}) do
    try('ZREM', K.gone, oldest)
    redis.call('DEL', K.gone_of .. oldest)
  end
  return true
end
