-- @include raise_refusal

-- A command's answer; nil where the key or its value is not what it should be.
local function try(...)
  local answer = redis.pcall(...)
  if type(answer) ~= 'table' or not answer.err then return answer end
  raise_refusal(answer.err)
end
