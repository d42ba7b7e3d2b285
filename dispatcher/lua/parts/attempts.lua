-- Names of attempts: `token` is '<job>:<nonce>-<number>-<generation>'.

local function split_token(token)
  return string.match(token, '^(.*):([^:]*)$')
end

-- Names a job that no attempt holds.
local function unclaimed(id, job)
  return id .. ':-' .. (job.generation or '0')
end
