-- @include favourites
-- @include suspects

-- Most often nothing speaks for another worker.
local function may_be_left(c, job)
  return job.prefers or job.avoids or is_suspect(c, job) or #favourites(c) > 0
end
