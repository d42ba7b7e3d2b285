-- @include levels
-- @include places
-- @lazy end_flow

local function leave_turns(c, job)
  c.waits = {}
  local path = tenant_path(job) .. '|' .. job.user
  if not job.is_followed and not flow_heads(job.class, path, 1)[1] then end_flow(c, job) end
end
