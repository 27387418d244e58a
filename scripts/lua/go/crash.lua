-- What died, and why.

local death = require("death")
local panics = require("panic")
local words = require("words")

local function place(f)
  if f.file == "" then return "" end
  return f.file:match("[^/]*$") .. ":" .. f.line
end

-- What the runtime lends to other packages under their names.
local lent = { ["sync.fatal"] = true, ["sync.throw"] = true, ["internal/sync.fatal"] = true, ["internal/sync.throw"] = true, ["syscall.Exit"] = true }

local function runtimes(f) return f.func:find("^runtime%.") ~= nil or f.func:find("^internal/runtime/") ~= nil or lent[f.func] end

-- fault emits what was accessed where, and which pointer was nil.
local function fault(signal, frame, g, i)
  local ok, code = pcall(ri.instruction, frame.pc)
  local access = ok and code.access ~= "" and code.access or nil
  local notes = {}
  if signal.jumped then
    ok, access = false, "jump to"
    notes[#notes + 1] = "called in " .. frame.func
  end
  if ok then notes[#notes + 1] = code.text end
  local small = ri.cmp(signal.address, 4096) < 0
  if signal.name == "SIGSEGV" and small then
    local who = g and panics.culprits(g, i, tonumber(signal.address), ok and code.size > 0 and code.size or nil) or {}
    for n, c in ipairs(who) do
      if n <= 5 then notes[#notes + 1] = ("%s: %s %s"):format(c.expr, c.sure and "a nil" or "perhaps, a nil", c.type) end
    end
  end
  local what = panics.fault(signal, access)
  if signal.name == "SIGSEGV" and small then
    what = ("%s: %s address %s: a nil pointer%s"):format(signal.name, panics.access(access), ri.hex(signal.address),
      ri.cmp(signal.address, 0) ~= 0 and (", or a field %s bytes into what it should point to"):format(tostring(signal.address)) or "")
  end
  ri.emit { part = "fault", what = what, where = place(frame), details = notes }
end

local function variables(g, i)
  local ok, _, _, list = pcall(g.locals, g, i)
  local lines, lost = {}, 0
  for _, v in ipairs(ok and list or {}) do
    if v.name ~= "_" and v.name:sub(1, 1) ~= "." and not (v.result and v.name:sub(1, 1) == "~") then
      if v.lost then
        lost = lost + 1
      else
        lines[#lines + 1] = (v.argument and "" or "  ") .. v.name .. " = " .. panics.short(v.value)
      end
    end
  end
  if lost > 0 then lines[#lines + 1] = ("  (%s optimised out)"):format(words.count(lost, "variable")) end
  return lines
end

-- same tells whether two frames are calls of the same place.
local function same(a, b) return a ~= nil and b ~= nil and a.func == b.func and a.line == b.line and a.file == b.file end

-- rounds finds a recursion at frames[i]: how many calls make a round, and how often that is repeated behind the first.
local function rounds(frames, i)
  for period = 1, 12 do
    local j = i
    while same(frames[j], frames[j + period]) do j = j + 1 end
    local more = math.floor((j - i) / period)
    if more >= 2 then return period, more end
  end
  return 1, 0
end

local function frame(what, where, details) ri.emit { part = "frame", what = what, where = where or "", details = details or {} } end

-- deepest is how many frames of a stack are read: what a recursion without an end did at its beginning is at the other end.
local deepest = 16384

-- emitFrames shows the goroutine's frames. Those of the runtime that lead to its death only where asked for; of a long recursion the first two rounds.
local function emitFrames(g, frames, p, broken)
  local shown, started, i = 0, p.runtime, 1
  local cut, recursive = #frames >= deepest and not broken, {}
  local skip, from = 0, 0 -- frames from there on that are left out as a recursion's
  while i <= #frames do
    local f = frames[i]
    started = started or not runtimes(f)
    if started and skip == 0 then
      local period, more = rounds(frames, i)
      if more > 1 then
        skip, from = (more - 1) * period, i + 2 * period
        for n = i, i + period - 1 do recursive[frames[n].func] = true end
      end
    end
    if skip > 0 and i == from then
      local period = rounds(frames, i - 1)
      local least = cut and i + skip + period > #frames and "at least " or ""
      frame(period == 1 and ("... %s%d more calls of the same"):format(least, skip)
        or ("... %s%d more calls: the same %d again, %d times"):format(least, skip, period, skip / period))
      i, skip = i + skip, 0
      if least ~= "" then break end
    else
      if started and (p.runtime or f.func ~= "runtime.main" and f.func ~= "runtime.goexit") then
        shown = shown + 1
        if shown > p.depth then
          frame(("... %s%d more (depth=)"):format(cut and "at least " or "", #frames - i + 1))
          if not cut then return end
          break
        end
        frame(f.func, place(f), (p.runtime or not runtimes(f)) and variables(g, i))
      end
      i = i + 1
    end
  end
  if broken then frame("(" .. broken .. ")") end
  if cut then
    local outer, first = g:outermost(64), 1
    for n, f in ipairs(outer) do
      if recursive[f.func] then first = n end
    end
    for n = first, #outer do
      if p.runtime or not runtimes(outer[n]) then frame(outer[n].func, place(outer[n])) end
    end
  end
end

-- emitParts shows what a thread did on its system stack: where it runs no goroutine, and where a signal hit it there.
local function emitParts(thread, p)
  for _, part in ipairs(thread.stacks) do
    if part.stack == "system" or p.runtime and part.stack == "signal" then
      local started = p.runtime or not part.fatal
      for _, f in ipairs(part.frames) do
        if started then ri.emit { part = part.stack, what = f.func, where = place(f), details = {} } end
        started = started or f.func == "runtime.throw" or f.func == "runtime.fatal"
      end
    end
  end
end

local function others(but, p)
  local groups, all, given = ri.stacks {}, 0, 0
  table.sort(groups, function(a, b) return a.count > b.count end)
  for _, group in ipairs(groups) do
    local count = group.count
    for _, id in ipairs(group.ids) do
      if but and id == but then count = count - 1 end
    end
    all = all + count
    if count > 0 and given < p.others then
      given = given + 1
      local lines = {}
      for _, f in ipairs(group.frames) do
        if not runtimes(f) and #lines < 8 then lines[#lines + 1] = f.func .. " " .. place(f) end
      end
      local state = group.wait_reason ~= "" and group.wait_reason or group.status
      ri.emit { part = "others", what = words.count(count, "goroutine") .. ": " .. state, where = "", details = lines }
    end
  end
  return all
end

-- exited finds the goroutine that ended the program by os.Exit, or by its return from main.main.
local function exited()
  for g in ri.goroutines() do
    if g.status == "running" then
      local frames, broken = g:stack(256)
      local top = frames and frames[1] and frames[1].func
      if top == "syscall.Exit" or top == "runtime.main" then return g, frames, broken, top == "runtime.main" end
    end
  end
  return nil
end

-- ended says what can be said where no thread is in a panic, fatal error or signal.
local function ended(p)
  local target = ri.target()
  local g, frames, broken, returned = exited()
  if not g and target.kind ~= "dying" then
    print(target.kind == "process" and "it is not dying: no thread is in a panic, fatal error or signal"
      or target.kind == "recording" and "no thread was in a panic, fatal error or signal when it was recorded"
      or "no thread of this core is in a panic, fatal error or signal: it was written of a program that ran (gcore, ri core), or one that was killed from outside")
    return
  end
  local how = target.ends and " (" .. target.ends .. ")" or ""
  if not g then
    local outside = target.ends and target.ends:find("^killed") and target.ends or "it exits" .. how .. "; which goroutine called for it isn't known"
    ri.emit { part = "died", what = outside, where = "", details = { "no panic, fatal error or fault" } }
  else
    ri.emit { part = "died", what = (returned and "main.main returned" or "os.Exit") .. how .. " in goroutine " .. tostring(g.id), where = "", details = {} }
    if not returned then emitFrames(g, frames, p, broken) end
  end
  local rest = p.others > 0 and others(g and g.id, p) or 0
  if rest > 0 then print(words.count(rest, g and "other goroutine" or "goroutine")) end
end

return {
  title = "what died and why: panic, fatal error, signal; variables",
  category = "go",
  description = [[
Of a core, or of a process that is dying: what ended the program, the values of its panics with those that were recovered on the way, the address
and instruction of a fault and the variable that may have been nil, the goroutine's frames with arguments and locals,
and what the others did. A program leaves a core when it runs with GOTRACEBACK=crash and ulimit -c allows it.]],
  needs = { runtime = { "thread" } },
  params = {
    { name = "depth", type = "int", default = 20, min = 1, max = 1000, help = "frames shown" },
    { name = "others", type = "int", default = 10, min = 0, max = 10000, help = "groups of other goroutines shown" },
    { name = "runtime", type = "bool", default = false, help = "the runtime's own frames too" },
  },
  columns = {
    { name = "part", help = "died, panic, fault, frame, system (the thread's own stack), others" },
    { name = "what", help = "what it was; a function" },
    { name = "where", help = "file and line" },
    { name = "details", help = "values; arguments and locals (indented)" },
  },
  sample = [[
PART   WHAT                                                        WHERE       DETAILS
died   panic in goroutine 1, thread 6845
panic  runtime error: invalid memory address or nil pointer dereference        runtime.errorString
fault  SIGSEGV: read of address 0x10: a nil pointer, or a field 16 bytes into what it should point to  main.go:27  MOVQ 0x10(AX), AX
frame  main.(*node).valueOf                                        main.go:27  n = nil]],
  run = function(p)
    local d = death.find(deepest)
    if not d then
      return ended(p)
    end
    local g, frames, broken, chain = d.goroutine, d.frames, d.broken, d.chain
    ri.emit { part = "died", what = death.what(d), where = "", details = {} }
    for i = #chain, 1, -1 do
      local one = chain[i]
      local text, whole = panics.cut(one.text or one.value)
      local marks = one.repanicked and " [recovered, repanicked]" or one.recovered and " [recovered]" or ""
      local same = one.value ~= nil and one.text ~= nil and ri.token(one.text) == ri.token(one.value) and one.text == one.value
      local details = { one.type .. (not same and one.value ~= nil and ": " .. one.value or "") }
      if whole then details[2] = "text: " .. whole end
      ri.emit { part = "panic", what = text .. marks, where = "", details = details }
    end
    if d.at then
      fault(d.fault, frames[d.at], g, d.at)
    elseif d.signal then
      local f = d.part.frames[1]
      if f and d.signal.code > 0 then
        fault({ name = d.signal.name, code = d.signal.code, address = d.signal.address }, f, nil, nil)
      else
        ri.emit { part = "fault", what = panics.fault(d.signal), where = f and place(f) or "", details = f and { f.func } or {} }
      end
    end
    if not g or d.part and d.part.stack == "system" then emitParts(d.thread, p) end
    if g then emitFrames(g, frames, p, broken) end
    local rest = p.others > 0 and others(g and g.id, p) or 0
    if rest > 0 then print(words.count(rest, "other goroutine")) end
  end,
}
