-- claim: take as many jobs as there are free slots, the least served tenant's first.
-- KEYS[1]  the model's key prefix
-- ARGV     1 worker  2 epoch  3 most jobs to take (0: only pass the ring on)  4 nonce
--          5 heads to look at, at most  6 most running jobs of the model (0: no bound)
--          7 … 10 prompt_ms, token_ms, turn_ms, behind (dispatcher/patience.py)
--          11 number of faster workers that follow  12… these, the fastest first
-- Returns  {'FENCED'}                               register again
--          {'OK', free slots left, again ms, job, …}  each job {token, api, wants, milliseconds left,
--                      queued ms, class, path, body ('': too large, or gone: read it)}. In `again ms`
--                      (0: never) jobs can be had that are left to others now.
-- The bridge makes a new random nonce for each claim and repeats it when a reply was cut: the same
-- nonce finds the same jobs. An attempt is named by the nonce and a count.
if is_fenced then return {'FENCED'} end
-- It is answered now. And it comes first because a script may then write at `maxmemory` too.
redis.call('DEL', K.bell_of .. worker)

local running = find_taken()
if #jobs > 0 then return answer_with(room(running), '0') end
local free, is_filled = take_jobs(running)
-- Passes the ring on that it came for. Where nothing waits, nobody else has to come for another one.
if is_filled then call_all() end
if #all_classes() == 0 then redis.call('DEL', K.bell) end
return answer_with(free, digits(again))
