-- Commands on keys that may hold something else than they should.
-- @include raise_refusal

-- These fields of a hash, each false where there is none.
local function fields_of(key, ...)
  local found = redis.pcall('HMGET', key, ...)
  if not found.err then return found end
  raise_refusal(found.err)
  return {}
end
