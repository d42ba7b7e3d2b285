-- @include attempts
-- @lazy take_up

-- Finds the jobs that a call with the same nonce has taken: its reply was cut. Returns how many
-- slots are taken; `c.sides` are the other attempts.
local function find_taken(c)
  local rows = redis.call('ZRANGE', K.running .. c.worker, 0, -1, 'WITHSCORES')
  local start, taken = ':' .. c.nonce .. '-', 0
  c.sides = 0
  for i = 1, #rows, 2 do
    if tonumber(rows[i + 1]) < 0 then c.sides = c.sides + 1 else taken = taken + 1 end
    if string.find(rows[i], start, 1, true) then take_up(c, rows[i]) end
  end
  return taken
end
