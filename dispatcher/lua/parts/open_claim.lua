-- The claim in progress, a part of the call `c`:
--   worker                     of the bridge that claims
--   most, most_sides, nonce, max_running   what it asks for; see claim.lua
--   is_slow                    whether it leaves jobs to faster ones; only then:
--   prompt_ms, token_ms, turn_ms, backlog_factor, faster   its patience
--   about, slots               what Redis knows of the worker
--   running, sides             its taken slots, and its attempts that need none (nil: not counted)
--   runs_suspect               whether one of these is a suspect
--   suspects                   names of tenants and end users under suspicion (suspects.lua)
--   jobs                       rows of the jobs taken so far
--   mine                       the classes of jobs that wait and that this worker may take now
--   seen_turns, most_urgent    caches, until a job is taken
--   looked                     how many jobs were looked at
--   called, again              workers called as jobs are left; ms until they are left no more
-- @include call
-- @include now_ms
-- @include read_fields
-- @include taken

local ABOUT = {'epoch', 'slots', 'accepting', 'process', 'prompt_tps', 'suspect', 'decode_tps'}

-- Returns whether the epoch is still valid.
local function open_claim(c, worker, epoch, most, most_sides, nonce, max_running, prompt_ms,
                          token_ms, turn_ms, backlog_factor, faster)
  c.worker, c.nonce, c.now = worker, nonce, now_ms()
  c.most, c.most_sides = tonumber(most), tonumber(most_sides)
  c.max_running = tonumber(max_running)
  c.is_slow = tonumber(prompt_ms) > 0 or tonumber(token_ms) > 0
  if c.is_slow then
    c.prompt_ms, c.token_ms = tonumber(prompt_ms), tonumber(token_ms)
    c.turn_ms, c.backlog_factor, c.faster = tonumber(turn_ms), tonumber(backlog_factor), {}
    for word in string.gmatch(faster, '%S+') do c.faster[#c.faster + 1] = word end
  end
  c.jobs, c.mine, c.seen_turns, c.looked, c.called, c.again = {}, {}, {}, 0, {}, 0
  c.about = read_hash(K.worker .. worker, ABOUT)
  c.slots, c.runs_suspect = number(c.about.slots), c.about.suspect and true
  return c.about.epoch == epoch
end

-- The slots that are free when this many are taken.
local function room(c, running)
  return c.about.accepting == '1' and math.max(0, c.slots - running) or 0
end

-- The side places that are free.
local function side_room(c)
  c.sides = c.sides or side_places_taken(c.worker)
  return c.about.accepting == '1' and math.max(0, SIDE_PLACES - c.sides) or 0
end
