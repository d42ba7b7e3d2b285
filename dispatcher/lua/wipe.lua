-- wipe: removes a part of a model's keys, as if Redis had lost them. What was used stays.
-- KEYS[1]  the model's key prefix
-- ARGV     1 … 3 as of weigh  4 whether jobs stay (1 or 0)
-- Returns  next cursor (0 at the end)
-- Jobs go last: one that comes meanwhile may lose its place. Then its api must not find it either.
local function stays(key)
  local name = string.sub(key, #PREFIX + 1)
  return string.sub(name, 1, 5) == 'usage' or (ARGV[4] == '1' and string.sub(name, 1, 4) == 'job:')
end

local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
for _, key in ipairs(page[2]) do
  if not stays(key) then redis.call('UNLINK', key) end
end
return page[1]
