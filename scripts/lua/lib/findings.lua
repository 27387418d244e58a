--- Findings as `ri check` gives them: one for one pattern, with a count, and causes before what they lead to.
--
-- A finding has, beside what ri.finding takes, `check`, and may have
--
-- * goroutines, waiters, holders, users: lists of numbers, all of them
-- * pattern: what makes it the same as another one: places in the code, names of fields; without it, it is one of its kind. Elements of one slice or map
--   are of one pattern: shards[7] and shards[8]
-- * roots: the goroutines whose waiting brings it about, where they are others than goroutines

local findings = {}

local lists = { "goroutines", "waiters", "holders", "users", "roots" }

local rank = { critical = 1, warning = 2, info = 3 }

-- union adds to a list what it doesn't have.
local function union(a, b)
  local seen, out = {}, {}
  for _, list in ipairs { a or {}, b or {} } do
    for _, id in ipairs(list) do
      if not seen[id] then seen[id], out[#out + 1] = true, id end
    end
  end
  return out
end

--- Makes one finding of those of one pattern. It tells the first one, and how many there are.
-- @param all table, a list of findings
-- @return table
function findings.merge(all)
  local out, known = {}, {}
  for _, f in ipairs(all) do
    local key = f.pattern and table.concat({ f.check, f.severity, (f.pattern:gsub("%[[^%]\n]*%]", "[]")) }, "\n")
    local first = key and known[key]
    if first then
      first.count, first.merged = first.count + (f.count or 1), true
      for _, name in ipairs(lists) do first.parts[name][#first.parts[name] + 1] = f[name] end
    else
      f.count, f.parts = f.count or 1, {}
      for _, name in ipairs(lists) do f.parts[name] = { f[name] } end
      out[#out + 1] = f
      if key then known[key] = f end
    end
  end
  for _, f in ipairs(out) do
    if f.merged then
      for _, name in ipairs(lists) do
        local seen, list = {}, {}
        for _, part in ipairs(f.parts[name]) do
          for _, id in ipairs(part) do
            if not seen[id] then seen[id], list[#list + 1] = true, id end
          end
        end
        f[name] = #list > 0 and list or nil
      end
      f.what = ("%s: %d times, at the same lines"):format(f.what, f.count)
      f.evidence = union(f.evidence, { ("this is the first of %d of them"):format(f.count) })
    end
    f.parts, f.pattern, f.merged = nil, nil, nil
  end
  return out
end

--- Puts findings in order: the worst first, but what brings another one about in front of that.
-- @param all table, a list of findings
-- @return table
function findings.sort(all)
  local by = {} -- a goroutine that waits: the findings that tell of it
  for i, f in ipairs(all) do
    f.order, f.rank = i, rank[f.severity] or 2
    for _, id in ipairs(union(f.waiters, f.goroutines)) do
      by[id] = by[id] or {}
      table.insert(by[id], f)
    end
  end
  local causes = {}
  for _, f in ipairs(all) do
    causes[f] = {}
    for _, id in ipairs(f.roots or {}) do
      for _, cause in ipairs(by[id] or {}) do
        if cause ~= f and cause.check ~= f.check and not (causes[cause] and causes[cause][f]) then causes[f][cause] = true end
      end
    end
  end
  -- A cause is as grave as the gravest of what it brings about.
  local changed = true
  while changed do
    changed = false
    for f, list in pairs(causes) do
      for cause in pairs(list) do
        if cause.rank > f.rank then cause.rank, changed = f.rank, true end
      end
    end
  end
  table.sort(all, function(a, b)
    if a.rank ~= b.rank then return a.rank < b.rank end
    return a.order < b.order
  end)
  local out, done = {}, {}
  local function put(f)
    if done[f] then return end
    done[f] = true
    for _, other in ipairs(all) do
      if causes[f][other] then put(other) end
    end
    out[#out + 1] = f
  end
  for _, f in ipairs(all) do put(f) end
  for _, f in ipairs(out) do f.order, f.rank, f.roots = nil, nil, nil end
  return out
end

return findings
