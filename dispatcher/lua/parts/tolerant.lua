-- Commands on keys that may hold something else than they should.
-- @lazy raise_refusal

-- A command's answer; nil where the key or its value is not what it should be.
local function try(...)
  local answer = redis.pcall(...)
  if type(answer) ~= 'table' or not answer.err then return answer end
  raise_refusal(answer.err)
end

-- These fields of a hash, each false where there is none.
local function fields_of(key, ...)
  local found = redis.pcall('HMGET', key, ...)
  if not found.err then return found end
  raise_refusal(found.err)
  return {}
end
