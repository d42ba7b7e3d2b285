-- Names of attempts: `token` is '<job>:<nonce>-<number>-<generation>'.

local function split_token(token)
  return string.match(token, '^(.*):([^:]*)$')
end
