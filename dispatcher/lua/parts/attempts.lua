-- An attempt's id is '<job>:<name>', its name '<nonce>-<number>-<generation>'. The job's hash keeps
-- the name as `attempt`.

local function split_attempt_id(attempt_id)
  return string.match(attempt_id, '^(.*):([^:]*)$')
end
