-- @include can_take
-- @include classes
-- @include is_side
-- @include open_claim
-- @include take_in_turn

-- Takes jobs that need no slot, up to the free side places. Returns whether it took all it wanted.
-- They prefer no worker, and no worker is slow at them.
local function take_sides(c)
  if c.most_sides < 0 then return false end
  local wanted, before = math.min(c.most_sides, side_room(c)), #c.jobs
  c.mine, c.seen_turns, c.looked, c.most_urgent = {}, {}, 0, nil
  c.is_slow, c.favourites = false, {}
  for _, class in ipairs(all_classes(c)) do
    if is_side(class) and can_take(class, c.worker) then c.mine[#c.mine + 1] = class end
  end
  if #c.mine > 0 then take_in_turn(c, before + wanted) end
  local taken = #c.jobs - before
  c.sides = c.sides + taken
  return taken == wanted
end
