-- @include numbers

-- What a claim answers, with the jobs behind it.
local function answer_with(c, free, ...)
  local answer = {'OK', free, digits(c.again), ...}
  for _, job in ipairs(c.jobs) do answer[#answer + 1] = job end
  return answer
end
