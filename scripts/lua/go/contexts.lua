-- Contexts: who is derived from whom, until when, and which are cancelled.

local alive = require 'alive'
local runtime = require 'runtime'
local words = require 'words'

-- The types of package context, Go 1.20 to 1.27, as the functions that make them are called. All but the first two have a parent in
-- an embedded Context, or in c.
local kinds = {
  ['context.emptyCtx'] = 'Background', ['context.backgroundCtx'] = 'Background', ['context.todoCtx'] = 'TODO',
  ['context.cancelCtx'] = 'WithCancel', ['context.timerCtx'] = 'WithDeadline', ['context.valueCtx'] = 'WithValue',
  ['context.afterFuncCtx'] = 'AfterFunc', ['context.withoutCancelCtx'] = 'WithoutCancel', ['context.stopCtx'] = 'stop',
}
local searched = { 'context.timerCtx', 'context.cancelCtx', 'context.valueCtx' }

local function kindof(c) return (ri.typeof(c):gsub('^%*', '')) end

local function parent(c)
  local found, up = pcall(function() return runtime.first(c, 'Context', 'c') end)
  if found and type(up) == 'userdata' then return up end
  return nil
end

-- text of an error, as its Error method would give it where that is known.
local function text(err)
  if err == nil then return nil end
  if type(err) ~= 'userdata' then return tostring(err) end
  local kind = ri.typeof(err)
  if kind == '*errors.errorString' then return err.s end
  if kind == 'context.deadlineExceededError' then return 'context deadline exceeded' end
  if kind == '*fmt.wrapError' or kind == '*fmt.wrapErrors' then return err.msg end
  return ri.dump(err, { oneline = true, depth = 2 })
end

-- short is what is in a value, or of what type it is.
local function short(v, iskey)
  if type(v) ~= 'userdata' then return tostring(v) end
  local line = ri.dump(v, { oneline = true, depth = 1, elems = 4, bytes = 60 })
  return #line <= (iskey and 50 or 30) and line or ri.typeof(v)
end

-- label says what a context is, and what it carries.
local function label(c)
  local kind = kindof(c)
  local name = kinds[kind] or kind
  if kind == 'context.valueCtx' then
    local found, what = pcall(function() return ('%s(%s = %s)'):format(name, short(c.key, true), short(c.val)) end)
    if found then return what end
  end
  return name
end

return {
  title = "contexts: the tree, deadlines, errors and causes",
  category = "go",
  description = [[
Shows the contexts that package variables and goroutines' frames lead to as a tree: those that they were derived from above, those derived from them, as far as
contexts know their children, below. heap=true shows all that are alive. DEADLINE is the time left, negative if it has passed. ERROR and CAUSE are those of a context that is cancelled; who cancelled it is not
recorded. A goroutine that holds a cancelled context and still waits is one that doesn't look at it.]],
  needs = { types = { "context.cancelCtx" }, runtime = { "goroutine" } },
  params = {
    { name = "cancelled", type = "bool", default = false, help = "only those that are cancelled, with what is above them" },
    { name = "heap", type = "bool", default = false, help = "all that are alive, also those that only objects in the heap lead to: with a copy of all memory" },
    { name = "limit", type = "int", default = 2000, min = 1, max = 100000, help = "look at so many at most" },
  },
  columns = {
    { name = "goroutines", help = "whose frames hold it", width = 10 },
    { name = "deadline", type = "duration", help = "time left" },
    { name = "error", help = "why it is done, if it is", optional = true, width = 12 },
    { name = "cause", help = "the cause that was given, if another", optional = true, width = 12 },
    { name = "address", type = "address", help = "of the context", hidden = true, key = true },
    { name = "depth", type = "int", help = "how far down the tree", hidden = true },
    { name = "context", help = "how it was made, below what it was made from", key = true }, -- what has no size shares an address
  },
  sample = [[
GOROUTINES  DEADLINE  ERROR             CAUSE                 CONTEXT
-                  -  -                 -                     Background
-                  -  -                 -                       WithCancel
-                  -  -                 -                         WithValue(main.requestKey{} = request-17)
24           2h59m59s  -                 -                           WithDeadline
25                 -  context canceled  the operator said so      WithCancel]],
  run = function(p)
    local nodes, roots, count, cut = {}, {}, 0, false
    local node
    -- node gives the place of a context in the tree; made, with those above it.
    node = function(c, depth)
      local address = type(c) == 'userdata' and ri.addr(c) or 0
      local kind = kindof(c)
      local key = (kinds[kind] == 'Background' or kinds[kind] == 'TODO') and kind or kind .. address
      if nodes[key] then return nodes[key] end
      if count >= p.limit then
        cut = true
        return nil
      end
      count = count + 1
      local n = { c = c, children = {}, goroutines = {}, holds = {}, address = address, kind = kind }
      nodes[key] = n
      local up = depth < 200 and parent(c) or nil
      local above = up and node(up, depth + 1)
      local list = above and above.children or roots
      list[#list + 1] = n
      -- A cancelCtx knows those that it cancels.
      pcall(function()
        if runtime.has(c, 'children') then
          for child in ri.pairs(c.children) do
            if type(child) == 'userdata' and ri.typeof(child):find('^%*?context%.') then node(child, depth + 1) end
          end
        end
      end)
      return n
    end
    local list, why = alive.find(searched, { max = p.limit, heap = p.heap and 'yes' or 'no' })
    if why then print('not looked at all that is alive: ' .. why) end
    for _, f in ipairs(list) do
      local n = node(f.value, 0)
      if n and f.goroutine and f.goroutine ~= 0 and not n.holds[f.goroutine] then
        n.holds[f.goroutine] = true
        n.goroutines[#n.goroutines + 1] = f.goroutine
      end
    end
    local now = ri.nanotime() and ri.now() or nil
    local function facts(n)
      pcall(function()
        if runtime.has(n.c, 'deadline') then
          local t = ri.time(n.c.deadline)
          n.deadline = now and math.floor((t.unix + t.nsec / 1e9 - now) * 1e9) or nil
        end
        local err = runtime.first(n.c, 'err')
        n.error = text(err)
        local cause = runtime.first(n.c, 'cause')
        if cause ~= nil then n.cause = text(cause) end
        if n.cause == n.error then n.cause = nil end
      end)
      n.wanted = not p.cancelled or n.error ~= nil
      for _, child in ipairs(n.children) do
        facts(child)
        n.wanted = n.wanted or child.wanted
      end
    end
    local done = 0
    local function walk(n, depth)
      if not n.wanted then return end
      if n.error then done = done + 1 end
      ri.emit {
        goroutines = #n.goroutines > 0 and { unpack(n.goroutines, 1, math.min(#n.goroutines, 100)) } or nil, deadline = n.deadline, error = n.error, cause = n.cause,
        address = n.address, depth = depth, context = ('  '):rep(depth) .. label(n.c),
      }
      for _, child in ipairs(n.children) do walk(child, depth + 1) end
    end
    for _, root in ipairs(roots) do
      facts(root)
      walk(root, 0)
    end
    print(('%s, %d cancelled%s'):format(words.count(count, 'context'), done, cut and (' (the search ended at limit=' .. p.limit .. ')') or ''))
  end,
}
