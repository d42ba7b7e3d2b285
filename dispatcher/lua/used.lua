-- used: what scripts keep of usage. An invited machine may have put anything there: texts that are
-- longer than ours are not read.
-- KEYS[1]  the model's key prefix
-- ARGV     1, 2 a key of the model and a field  3, 4 … the next ones
-- Returns  {text, …}  '' where there is none
-- @include try
local found = {}
for i = 1, #ARGV, 2 do
  local bytes = try('HSTRLEN', ARGV[i], ARGV[i + 1]) or 0
  local is_text = bytes > 0 and bytes <= MOST_USED_BYTES
  found[#found + 1] = is_text and redis.call('HGET', ARGV[i], ARGV[i + 1]) or ''
end
return found
