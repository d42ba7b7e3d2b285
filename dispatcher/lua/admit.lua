-- admit: a request of a tenant begins, where its limits leave room for it.
-- KEYS[1]  the tenant's key prefix
-- ARGV     1 request  2 lease ms: for how long it is open, unless `hold` renews that
--          3… for each account of the request: its end user ('': the tenant itself), and its bounds
--            on the requests of a minute and on open requests (0: none)
-- Returns  {verdict, number of the account that it is about, now ms, rows}
--          OK        the request is counted and open, also where an earlier call did it
--          REQUESTS  the account has had all requests of the minute: nothing changed
--          OPEN      the account has all open requests that it may have: nothing changed
--          Each row is of an account: its requests in the last minute, in how many ms one more may
--          come, in how many ms none of them counts any more, its open requests
-- @include admitted
-- @include now_ms
local request, lease_ms, now = ARGV[1], tonumber(ARGV[2]), now_ms()

-- An account without this request.
local function look_at(user, per_minute, most_open)
  local account = {
    requests = requests_key(user), per_minute = tonumber(per_minute), counted = 0,
    open = open_key(user), most_open = tonumber(most_open), opened = 0,
  }
  if account.per_minute > 0 then
    redis.call('ZREMRANGEBYSCORE', account.requests, '-inf', now - MINUTE_MS)
    account.is_counted = redis.call('ZSCORE', account.requests, request)
    account.counted = redis.call('ZCARD', account.requests)
  end
  if account.most_open > 0 then
    redis.call('ZREMRANGEBYSCORE', account.open, '-inf', now)
    account.is_open = redis.call('ZSCORE', account.open, request)
    account.opened = redis.call('ZCARD', account.open)
  end
  return account
end

local function verdict_on(account)
  local has_more = account.counted >= account.per_minute and not account.is_counted
  if account.per_minute > 0 and has_more then return 'REQUESTS' end
  has_more = account.opened >= account.most_open and not account.is_open
  if account.most_open > 0 and has_more then return 'OPEN' end
end

local function let_in(account)
  if account.per_minute > 0 and not account.is_counted then
    redis.call('ZADD', account.requests, now, request)
    redis.call('PEXPIRE', account.requests, MINUTE_MS)
    account.counted = account.counted + 1
  end
  if account.most_open > 0 and not account.is_open then
    redis.call('ZADD', account.open, now + lease_ms, request)
    redis.call('PEXPIRE', account.open, WORKER_TTL_MS)
    account.opened = account.opened + 1
  end
end

-- In how many ms the request at a rank, from the oldest or the newest, counts no more.
local function left_ms(account, rank)
  local at = redis.call('ZRANGE', account.requests, rank, rank, 'WITHSCORES')[2]
  return at and math.max(0, at + MINUTE_MS - now) or 0
end

local function row_of(account)
  local over, again, all = account.counted - account.per_minute, 0, 0
  if account.per_minute > 0 then
    if over >= 0 then again = left_ms(account, over) end
    all = left_ms(account, -1)
  end
  return {account.counted, again, all, account.opened}
end

local accounts, rows, verdict, about = {}, {}, 'OK', 0
for i = 3, #ARGV, 3 do accounts[#accounts + 1] = look_at(unpack(ARGV, i, i + 2)) end
for i, account in ipairs(accounts) do
  local refusal = verdict_on(account)
  if refusal then verdict, about = refusal, i - 1 break end
end
if verdict == 'OK' then
  for _, account in ipairs(accounts) do let_in(account) end
end
for i, account in ipairs(accounts) do rows[i] = row_of(account) end
return {verdict, about, digits(now), rows}
