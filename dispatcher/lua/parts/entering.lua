-- The jobs of a call that enter the queue together, `c.entering`: what is written of them at once.
--   places, dues      for the queue and the deadlines: score and member
--   classes           class → how many jobs
--   jobs, bytes       tenant → how many jobs, and their bytes
--   of_tenant         tenant → how many jobs it has in the queue, these included

local function begin_entering(c, of_tenant)
  c.entering = {places = {}, dues = {}, classes = {}, jobs = {}, bytes = {}, of_tenant = of_tenant}
end
