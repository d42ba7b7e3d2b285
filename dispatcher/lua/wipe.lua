-- wipe: removes a part of a model's keys, as if Redis had lost them. What was used stays.
-- KEYS[1]  the model's key prefix
-- ARGV     1 … 3 as of weigh
-- Returns  next cursor (0 at the end)
local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
for _, key in ipairs(page[2]) do
  if string.sub(key, 1, #PREFIX + 5) ~= PREFIX .. 'usage' then redis.call('UNLINK', key) end
end
return page[1]
