-- A control frame for the api that waits for the job. It makes no stream for a dead api.
local function tell(api, attempt_id, kind, payload)
  local frame = kind .. ' -1 0 ' .. #payload .. '\n' .. payload
  redis.call('XADD', K.replies .. api, 'NOMKSTREAM', '*', attempt_id, frame)
end
