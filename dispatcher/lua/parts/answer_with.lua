-- @include numbers

-- What a claim answers, and then the jobs.
local function answer_with(c, free, ...)
  local answer = {'OK', free, digits(c.again), ...}
  for _, job in ipairs(c.jobs) do answer[#answer + 1] = job end
  return answer
end
