-- used_by_each: as used, for all fields of one key.
-- KEYS[1]  the model's key prefix
-- ARGV     1 key of the model  2 cursor of HSCAN (0 at first)  3 pattern of the fields
--          4 how many to look at
-- Returns  {next cursor (0 at the end), {field, text, …}}
-- @include try
local key, cursor, pattern, count = unpack(ARGV)
local page = try('HSCAN', key, cursor, 'MATCH', pattern, 'COUNT', count) or {'0', {}}
local rows, found = page[2], {}
for i = 1, #rows, 2 do
  if #rows[i] <= MOST_USER_BYTES and #rows[i + 1] <= MOST_USED_BYTES then
    found[#found + 1], found[#found + 2] = rows[i], rows[i + 1]
  end
end
return {page[1], found}
