-- @include favourites
-- @include suspects

-- Whether anything may speak for another worker: most often nothing does.
local function may_be_left(c, job)
  return job.prefers or job.avoids or is_suspect(c, job) or #favourites(c) > 0
end
