-- @include tolerant

-- These fields of a hash, by name, as a part of `row` where there is one.
local function read_hash(key, names, row)
  local found = fields_of(key, unpack(names))
  row = row or {}
  for i = 1, #names do row[names[i]] = found[i] or nil end
  return row
end
