-- A job that has crashed a server may do it again. One whose client has seen a part of the answer
-- went well for a while: it was rather there when its server crashed, and its client waits for the
-- next token.
local function is_suspect(job)
  return tonumber(job.crashes or '0') > 0 and not job.visible
end
