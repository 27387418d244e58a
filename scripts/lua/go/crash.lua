-- What died, and why.

local panics = require("panic")
local words = require("words")

local function place(f)
  if f.file == "" then return "" end
  return f.file:match("[^/]*$") .. ":" .. f.line
end

-- What the runtime lends to other packages under their names.
local lent = { ["sync.fatal"] = true, ["sync.throw"] = true, ["internal/sync.fatal"] = true, ["internal/sync.throw"] = true, ["syscall.Exit"] = true }

local function runtimes(f) return f.func:find("^runtime%.") ~= nil or f.func:find("^internal/runtime/") ~= nil or lent[f.func] end

-- dying finds the thread that ends the program: the runtime marks it, or it got the signal.
local function dying(threads)
  local by_signal, marked
  for _, t in ipairs(threads) do
    if t.dying > 0 and (not marked or t.signal and not marked.signal) then marked = t end
    if t.signal then by_signal = t end
  end
  return marked or by_signal
end

-- ours tells the signal by which the runtime ends the program, which it sends to itself, from one that hit what is in frames.
local function ours(signal, frames)
  if signal.name ~= "SIGABRT" or signal.sender ~= ri.target().pid then return false end
  for i = 1, math.min(#frames, 4) do
    if frames[i].func == "runtime.raise" or frames[i].func == "runtime.dieFromSignal" then return true end
  end
  return false
end

-- cause gathers what the thread's stacks say: the signal from outside of the runtime's own end, the text of a fatal error.
local function cause(thread)
  local c = {}
  for _, part in ipairs(thread.stacks) do
    c.fatal = c.fatal or part.fatal
    local s = part.signal
    if s and not ours(s, part.frames) then c.signal, c.part = s, part end
  end
  if not c.signal and thread.signal and thread.dying == 0 then c.signal, c.part = thread.signal, thread.stacks[1] end
  return c
end

-- sigpanicked finds the fault that Go made a panic of: the frame below sigpanic, and what the signal said, which the g keeps of the last one.
local function sigpanicked(g, frames)
  for i, f in ipairs(frames) do
    local at = frames[i + 1]
    if f.func == "runtime.sigpanic" and at then
      local raw = ri.at(g.addr, "runtime.g")
      -- A jump to no code has its PC there; what called it is below.
      local jumped = ri.cmp(raw.sigpc, raw.sigcode1) == 0
      if not jumped and ri.cmp(raw.sigpc, at.pc) ~= 0 then return nil end
      local names = { [4] = "SIGILL", [7] = "SIGBUS", [8] = "SIGFPE", [11] = "SIGSEGV" }
      return i + 1, { name = names[raw.sig] or "signal " .. tostring(raw.sig), code = raw.sigcode0, address = raw.sigcode1, jumped = jumped }
    end
  end
  return nil
end

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
    local who = g and panics.culprits(g, i, tonumber(signal.address)) or {}
    for n, c in ipairs(who) do
      if n <= 3 then notes[#notes + 1] = ("%s: %s %s"):format(c.expr, c.sure and "a nil" or "perhaps, a nil", c.type) end
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
    local threads = ri.threads()
    local thread = dying(threads)
    if not thread then
      return ended(p)
    end
    local c = cause(thread)
    local g = thread.goroutine and ri.goroutine(thread.goroutine) or nil
    local frames, broken = {}, nil
    if g then frames, broken = g:stack(deepest) end
    if g and not broken and #frames <= 1 and (#frames == 0 or frames[1].func == "runtime.goexit") then
      g, frames = nil, {} -- a thread that C began has an m of the runtime's only while its signal is handled
    end
    local chain = g and panics.chain(g, frames) or {}
    local at, signal = nil, nil
    if g then at, signal = sigpanicked(g, frames) end

    local who = (g and ("in goroutine %s, "):format(tostring(g.id)) or "in no goroutine, ") .. "thread " .. tostring(thread.id)
    local what = c.fatal and "fatal error: " .. c.fatal or #chain > 0 and "panic" or c.signal and c.signal.name or "the runtime ends it"
    ri.emit { part = "died", what = what .. " " .. who, where = "", details = {} }
    for i = #chain, 1, -1 do
      local one = chain[i]
      local text, whole = panics.cut(one.text or one.value)
      local marks = one.repanicked and " [recovered, repanicked]" or one.recovered and " [recovered]" or ""
      local details = { one.type .. (one.text ~= one.value and one.value ~= nil and ": " .. one.value or "") }
      if whole then details[2] = "text: " .. whole end
      ri.emit { part = "panic", what = text .. marks, where = "", details = details }
    end
    if at then
      fault(signal, frames[at], g, at)
    elseif c.signal then
      local f = c.part.frames[1]
      if f and c.signal.code > 0 then
        fault({ name = c.signal.name, code = c.signal.code, address = c.signal.address }, f, nil, nil)
      else
        ri.emit { part = "fault", what = panics.fault(c.signal), where = f and place(f) or "", details = f and { f.func } or {} }
      end
    end
    if not g or c.part and c.part.stack == "system" then emitParts(thread, p) end
    if g then emitFrames(g, frames, p, broken) end
    local rest = p.others > 0 and others(g and g.id, p) or 0
    if rest > 0 then print(words.count(rest, "other goroutine")) end
  end,
}
