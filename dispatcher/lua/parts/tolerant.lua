-- Commands on keys that may hold something else than they should.

-- Redis refuses all work for now: that is no job's fault, and the caller tries again.
local function raise_refusal(fault)
  local text = type(fault) == 'table' and fault.err or tostring(fault)
  for _, word in ipairs(REFUSALS) do
    if string.find(text, word, 1, true) then error(fault, 0) end
  end
end

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
