-- @include tell
-- @include tolerant

-- Tells the api of a job that was retired while the api was not known.
local function tell_of_flaw(api, id, generation)
  local flaw = fields_of(K.job .. id, 'flaw')[1] or 'unknown'
  tell(api, id .. ':-' .. generation, 'failed', string.format(UNREADABLE, flaw))
  redis.call('HSET', K.job .. id, 'untold', '')
end
