-- @include held
-- @include attempts
-- @include tolerant
-- @include numbers
-- @lazy raise_estimates

local function is_live(c, api)
  if c.live_apis[api] == nil then c.live_apis[api] = redis.call('ZSCORE', K.apis, api) end
  return c.live_apis[api]
end

-- Looks at attempts that a bridge says it holds. The arguments from `first` on are pairs of an
-- attempt's id and what it has cost so far. Returns those that are not, or no longer, this
-- worker's; those whose client has gone; those whose api was taken for dead; all that were named.
local function look_at_held(c, worker, first)
  local attempt_ids, foreign, unwanted, orphaned, dearer = {}, {}, {}, {}, {}
  for i = first, #ARGV, 2 do attempt_ids[#attempt_ids + 1] = ARGV[i] end
  local is_held = held(worker, attempt_ids)
  c.live_apis = {}
  for n, attempt_id in ipairs(attempt_ids) do
    local id, cost = split_attempt_id(attempt_id), tonumber(ARGV[first + 2 * n - 1])
    if not is_held[n] then
      foreign[#foreign + 1] = attempt_id
    elseif cost then
      local job = fields_of(K.job .. id, 'cancelled', 'api', 'estimate')
      if job[1] or not job[2] then unwanted[#unwanted + 1] = attempt_id
      elseif not is_live(c, job[2]) then orphaned[#orphaned + 1] = attempt_id end
      if job[2] and cost > number(job[3]) then dearer[#dearer + 1] = {id, cost} end
    end
  end
  if #dearer > 0 then raise_estimates(c, dearer) end
  return foreign, unwanted, orphaned, attempt_ids
end
