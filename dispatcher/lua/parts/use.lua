-- Counts what a job has used, once it has ended for good (docs/usage.md). A call writes what it has
-- counted at its end (write_usage.lua).
-- @include is_side
-- @include usage_text
-- @include whole_usage

local NOTHING_MORE = {prompt = 0, cached = 0, completion = 0}

-- How long a job was in slots, with an attempt that ends now.
local function slot_ms_of(c, job)
  local begun = not is_side(job.class or '') and tonumber(job.claimed_ms or nil)
  return number(job.slot_ms) + (begun and math.max(0, c.now - begun) or 0)
end

local function add_use(sums, name, tenant, used, sign)
  local sum = sums[name] or {tenant = tenant}
  for _, what in ipairs(USED) do sum[what] = (sum[what] or 0) + sign * used[what] end
  sums[name] = sum
end

local function add_uses(c, job, used, sign)
  local tenant, user = job.tenant, job.user or '-'
  c.used = c.used or {tenants = {}, users = {}}
  add_use(c.used.tenants, tenant, tenant, used, sign)
  if user == '-' then return end
  c.used.has_users = true
  add_use(c.used.users, tenant .. '|' .. user, tenant, used, sign)
end

-- Returns what notes it in the job: a field and its value. Of a request with several jobs only the
-- first counts as the request. Of several choices of one prompt only the first has its tokens.
local function use(c, job, used, slot_ms)
  if not job.tenant then return end
  local is_choice = job.part == 'choice'
  local row = {
    requests = job.part and 0 or 1,
    prompt = is_choice and 0 or math.max(0, number(used.prompt)),
    cached = is_choice and 0 or math.max(0, number(used.cached)),
    completion = math.max(0, number(used.completion)),
    slot_ms = slot_ms,
  }
  add_uses(c, job, row, 1)
  return 'counted', usage_text(row)
end

-- As `use`, for a job of which nobody reports more than its client was shown. If that was nothing,
-- nothing counts.
local function use_shown(c, job, slot_ms)
  local shown = (job.shown or '') ~= '' and job.shown or job.seen or ''
  if shown == '' then return end
  return use(c, job, whole_usage(shown, NOTHING_MORE), slot_ms or number(job.slot_ms))
end

-- A job that was over goes on: it is counted when it ends again.
local function take_back_use(c, job)
  if not job.counted or not job.tenant then return end
  add_uses(c, job, read_usage(job.counted), -1)
  job.counted = nil
end
