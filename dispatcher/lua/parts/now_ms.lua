-- Redis' clock is the only one. Tests put another one in its place (dispatcher/script_text.py).

local function now_ms()
  return NOW_MS
end
