-- A large body is read apart.
local function small_body(id, job)
  return tonumber(job.bytes) <= SMALL_BODY_BYTES and redis.call('GET', K.body .. id)
end
