-- @include tolerant

-- These fields of a hash, by name.
local function read_hash(key, names)
  local found, row = fields_of(key, unpack(names)), {}
  for i, name in ipairs(names) do row[name] = found[i] or nil end
  return row
end
