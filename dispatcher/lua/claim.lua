-- claim: takes as many jobs as there are free slots, and as many that need none as there are free
-- side places, the least served tenant's first.
-- KEYS[1]  the model's key prefix
-- ARGV     1 worker  2 epoch  3 most jobs to take for slots  4 most that need none (of either 0:
--          only pass the ring on; -1: nobody rang for these)
--          5 nonce  6 most running jobs of the model, in slots (0: no bound)
--          7 … 10 prompt_ms, token_ms, turn_ms, backlog_factor (dispatcher/patience.py)
--          11 faster workers, parted by blanks, the fastest first
-- Returns  {'FENCED'}                               register again
--          {'OK', free slots left, again ms, free side places left, job, …}  each job
--            {attempt id, api, wants, milliseconds left, queued ms, class, path, form, body ('':
--            too large, or gone: read it), trace (left out where it has none)}. In `again ms` (0:
--            never) jobs can be had that are left to others now.
-- The bridge makes a new random nonce for each claim and repeats it when a reply was cut: the same
-- nonce finds the same jobs. An attempt is named by the nonce and a count.
-- @include call_all
-- @include answer_with
-- @include find_taken
-- @include take_jobs
if not open_claim(c, unpack(ARGV)) then return {'FENCED'} end
-- It is answered now. And it comes first because a script may then write at `maxmemory` too.
redis.call('DEL', K.bell_of .. c.worker)

local function claim()
  local running = find_taken(c)
  if #c.jobs > 0 then return answer_with(c, room(c, running), side_room(c)) end
  local free, is_filled, are_sides_filled = take_jobs(c, running)
  -- Passes the ring on that it came for. Where nothing waits, nobody has to come for another one.
  if is_filled then call_all(c, false) end
  if are_sides_filled then call_all(c, true) end
  if #all_classes(c) == 0 and #c.jobs == 0 then redis.call('DEL', K.bell, K.side_bell) end
  return answer_with(c, free, side_room(c))
end

return conduct(claim)
