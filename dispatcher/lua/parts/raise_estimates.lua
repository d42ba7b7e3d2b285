-- @include add_charge
-- @include charges
-- @include flaws
-- @include guarded
-- @include move
-- @include read_fields

-- Raises what a job is expected to cost; adds to `moves` what that means for the turns, by path.
local function raise_estimate(c, id, cost, moves)
  local job = read_hash(K.job .. id, {'tenant', 'user', 'tier', 'weight', 'estimate'})
  if flaw_in(job, {'tenant', 'user', 'tier'}, {'weight', 'estimate'}) then return end
  redis.call('HSET', K.job .. id, 'estimate', cost)
  read_charges_of(c, job)
  for _, level in ipairs(levels(job)) do
    local parent, child, weight, path = unpack(level)
    local amount = share(cost, weight) - share(job.estimate, weight)
    add_charge(c, path, amount)
    moves[path] = moves[path] or {parent, child, 0}
    moves[path][3] = moves[path][3] + amount
  end
end

-- Long jobs are charged as they go: an estimate that was too low would let their tenant begin
-- others. One that can't be charged goes on: finish passes its answer on.
local function raise_estimates(c, dearer)
  local moves = {}
  for _, row in ipairs(dearer) do guarded(c, raise_estimate, c, row[1], row[2], moves) end
  for _, row in pairs(moves) do move(c, unpack(row)) end
end
