--- The check of `ri check` for finalizers and cleanups that keep others from being run.
--
-- The runtime runs all finalizers in one goroutine, one after the other, and cleanups in a few. What waits in one of them
-- makes all that is behind it wait, and keep its memory.

local locks = require("checks_locks")
local words = require("words")

-- Where such goroutines begin, and what they run.
local starts = { ["runtime.runfinq"] = "finalizer", ["runtime.runFinalizers"] = "finalizer", ["runtime.runCleanups"] = "cleanup" }

local function waiting(n) return n == 1 and "1 object waits" or n .. " objects wait" end

-- running gives the groups that run a finalizer or cleanup of the program's, and the frame of its function.
local function running(l)
  local out = {}
  for _, g in ipairs(l.groups) do
    local outer
    for _, f in ipairs(g.frames) do
      if starts[f.func] then
        if outer then out[#out + 1] = { group = g, frame = outer, kind = starts[f.func] } end
        break
      end
      if not f.func:find("^runtime%.") then outer = f end
    end
  end
  return out
end

-- behind says which finalizers wait, and how many, by what the queue says; with the heap, how much memory they keep.
local function behind(l)
  local n, bytes, lines = 0, 0, {}
  for _, f in ipairs(l.heap and l.heap:finalizers() or {}) do
    if f.queued > 0 then
      n, bytes = n + f.queued, bytes + f.queued_bytes
      lines[#lines + 1] = ("%s for %s: %s"):format(waiting(f.queued), f.func, f.type)
    end
  end
  if n == 0 then
    for _, f in ipairs(ri.finalizing()) do
      n = n + f.count
      lines[#lines + 1] = ("%s for %s"):format(waiting(f.count), f.func)
    end
  end
  return n, bytes, lines
end

-- first notes in the first look what waits: it is read of the copy.
local function first(l)
  l.finalizing = running(l)
  if #l.finalizing == 0 then return end
  l.finalizers = {}
  l.finalizers.n, l.finalizers.bytes, l.finalizers.lines = behind(l)
end

local function stuck(l)
  local out = {}
  for _, r in ipairs(l.finalizing or {}) do
    local id = r.group.ids[1]
    if r.group.status == "waiting" and l.still(id) then
      local finalizers = r.kind == "finalizer" and l.finalizers or { n = 0, bytes = 0, lines = {} }
      local others = math.max(finalizers.n - 1, 0)
      local behind_it = others > 0 and (", and %s behind it%s"):format(waiting(others),
        finalizers.bytes > 0 and (" (%s)"):format(words.bytes(finalizers.bytes)) or "") or ""
      local evidence = {
        ("the runtime runs %s in goroutine %s; it is in %s: %s, %s"):format(
          r.kind == "finalizer" and "all finalizers, one after the other," or "cleanups", tostring(id), r.frame.func,
          r.group.wait_reason, l.waited(id)),
      }
      for i = 1, math.min(#finalizers.lines, 5) do evidence[#evidence + 1] = finalizers.lines[i] end
      out[#out + 1] = {
        severity = "warning", what = ("a %s doesn't end: %s%s"):format(r.kind, r.frame.func, behind_it),
        where = locks.where(l, id), goroutines = { id }, evidence = evidence,
        next = ("what does goroutine %s wait for? A %s must not wait: have it start a goroutine, or free the object with Close"):format(tostring(id), r.kind),
      }
    end
  end
  return out
end

return { { name = "finalizers", run = stuck }, first = first }
