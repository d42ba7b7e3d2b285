-- @include suspects

-- An answer that went well ends the suspicion sooner, but not of one that was held back already.
local function trust_again(c, job)
  local name = suspected_as(c, job.tenant, job.user)
  if not name or held_back_as(c, job)[name] then return end
  local until_ms = tonumber(redis.call('ZINCRBY', K.suspects, 0 - WELL_DONE_MS, name))
  if until_ms <= c.now then
    redis.call('ZREM', K.suspects, name)
    c.suspects[name] = nil
  end
end
