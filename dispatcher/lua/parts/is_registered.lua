-- @include tolerant

-- Is this bridge still who it says it is? Only a reaper or a newer registration ends an epoch; the
-- lease time is not compared here, so that an outage of Redis costs nobody their jobs.
local function is_registered(worker, epoch)
  return fields_of(K.worker .. worker, 'epoch')[1] == epoch
end
