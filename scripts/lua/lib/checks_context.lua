--- The check of `ri check` for goroutines that stay though their context was cancelled.

local locks = require("checks_locks")
local waits = require("waits")
local runtime = require("runtime")

-- cancelled follows a context to what was cancelled, and gives its type and error; nil if nothing was.
local function cancelled(ctx)
  for _ = 1, 64 do
    if ctx == nil or type(ctx) ~= "userdata" then return nil end
    local t = ri.typeof(ctx):gsub("^%*", "")
    if t == "context.cancelCtx" or t == "context.timerCtx" or t == "context.afterFuncCtx" then
      local inner = ctx
      if t ~= "context.cancelCtx" then inner = ctx.cancelCtx end
      if type(inner) ~= "userdata" then return nil end
      local err = inner.err
      if err ~= nil then
        local text = type(err) == "userdata" and runtime.has(err, "s") and err.s or ri.typeof(err):gsub("^%*", "")
        return ctx, text
      end
      ctx = inner.Context
    elseif t == "context.valueCtx" or t == "context.stopCtx" then
      ctx = ctx.Context
    else
      return nil
    end
  end
end

-- How many goroutines of one stack are looked at, and how many in all.
local same, most = 2000, 10000

--- Finds waiting goroutines with a function of the program whose context argument was cancelled, in the first look.
-- @param l table, the look
local function find(l)
  l.contexts = {}
  local representatives = {}
  for _, g in ipairs(l.groups) do
    if g.status == "waiting" and g.wait_reason ~= "IO wait" then
      for i, f in ipairs(g.frames) do
        if not locks.standard(f.func) then
          representatives[#representatives + 1] = g
          break
        end
      end
    end
  end
  local wanted, left = {}, 0
  for _, g in ipairs(representatives) do
    for i = 1, math.min(#g.ids, same, most - left) do wanted[g.ids[i]], left = g, left + 1 end
  end
  if left == 0 then return end
  for goroutine in ri.goroutines { status = "waiting" } do
    local g = wanted[goroutine.id]
    if g then
      pcall(function()
        local frames = goroutine:stack(64)
        for i, f in ipairs(frames) do
          if not locks.standard(f.func) then
            local _, _, list = goroutine:locals(i)
            for _, v in ipairs(list or {}) do
              if v.argument and v.type == "context.Context" and v.value ~= nil then
                local ctx, why = cancelled(v.value)
                if ctx then
                  l.contexts[#l.contexts + 1] = { id = goroutine.id, frame = f, name = v.name, why = why, group = g, addr = ri.addr(ctx) }
                  return
                end
              end
            end
          end
        end
      end)
    end
  end
end

local function stays(l)
  if not l.second then return nil, "it needs two looks, of a running process" end
  locks.share(l)
  local out = {}
  for _, c in ipairs(l.contexts) do
    if l.still(c.id) and not l.never(c.id) and not l.deadlocked[c.id] and not l.stuck[c.id] then
      local created = c.group.created_by
      out[#out + 1] = {
        severity = "warning",
        what = ("a context was cancelled, and its goroutine stays: %s"):format(c.group.wait_reason),
        pattern = table.concat({ locks.spot(l, c.id), c.frame.func, c.name, c.why, c.group.wait_reason,
          created and created.func .. created.line or "" }, "\n"),
        where = locks.where(l, c.id), goroutines = { c.id },
        evidence = {
          ("%s of %s (%s) is a context that says: %s"):format(c.name, c.frame.func, waits.short(c.frame), c.why),
          ("goroutine %s: %s, %s"):format(tostring(c.id), c.group.wait_reason, l.waited(c.id)),
          locks.created(l, c.id),
          c.group.count > same and ("%d goroutines have this stack, of which %d were looked at"):format(c.group.count, same) or nil,
          "who cancelled it, and when, is not recorded",
        },
        next = "it should wait for ctx.Done() too where it waits",
      }
    end
  end
  return out
end

return { { name = "context", run = stays }, find = find }
