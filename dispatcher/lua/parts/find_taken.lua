-- @include attempts
-- @lazy take_up

-- Finds the jobs that a call with the same nonce has taken: its reply was cut. Returns how many
-- attempts run.
local function find_taken(c)
  local running, start = redis.call('ZRANGE', K.running .. c.worker, 0, -1), ':' .. c.nonce .. '-'
  for _, token in ipairs(running) do
    if string.find(token, start, 1, true) then take_up(c, token) end
  end
  return #running
end
