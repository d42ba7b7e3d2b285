-- @include numbers

-- What a whole answer has used: the tokens of its `last` attempt, and what its client was shown by
-- those before it. `Shown.whole` of dispatcher/cost.py is the same, and `Shown.text` makes `shown`.
local function whole_usage(shown, last)
  local tokens, prompt, cached = string.match(shown or '', '^(%d+) ?(%d*) ?(%d*)$')
  if not tokens then return last end
  tokens = number(tokens)
  local told = tonumber(prompt)
  return {
    prompt = told or math.max(0, last.prompt - tokens),
    cached = told and number(cached) or 0,
    completion = tokens + last.completion,
  }
end
