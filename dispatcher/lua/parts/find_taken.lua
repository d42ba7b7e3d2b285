-- @include attempts
-- @include describe
-- @include read_job

-- Finds the jobs that a call with the same nonce has taken: its reply was cut. Returns how many
-- attempts run.
local function find_taken(c)
  local running = redis.call('ZRANGE', K.running .. c.worker, 0, -1)
  for _, token in ipairs(running) do
    local id, attempt = split_token(token)
    if attempt and string.sub(attempt, 1, #c.nonce + 1) == c.nonce .. '-' then
      local job = read_job(id)
      if job and not job.flaw then
        c.jobs[#c.jobs + 1] = describe(c, token, job, small_body(id, job))
      end
    end
  end
  return #running
end

-- What a claim answers, with the jobs behind it.
local function answer_with(c, free, ...)
  local answer = {'OK', free, digits(c.again), ...}
  for _, job in ipairs(c.jobs) do answer[#answer + 1] = job end
  return answer
end
