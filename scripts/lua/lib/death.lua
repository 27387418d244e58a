--- What ended a Go program: the thread that died, its goroutine, its panics, the fault.

local panics = require("panic")

local death = {}

-- What stops a thread and ends nothing: a debugger that wrote the core (gcore) leaves such a signal in it.
local stopping = { SIGSTOP = true, SIGTSTP = true, SIGTTIN = true, SIGTTOU = true, SIGCONT = true }

-- deadly tells whether a thread's signal may have ended the program.
local function deadly(signal) return signal ~= nil and not stopping[signal.name] and not (signal.name == "SIGTRAP" and signal.code <= 0) end

-- dying finds the thread that ends the program: the runtime marks it, or it got the signal.
local function dying(threads)
  local by_signal, marked
  for _, t in ipairs(threads) do
    if t.dying > 0 and (not marked or t.signal and not marked.signal) then marked = t end
    if deadly(t.signal) then by_signal = t end
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

--- Finds what ended the program.
-- @param deepest int, how many frames of the goroutine's stack are read
-- @return table? {thread, fatal: text of a fatal error, signal, part: the stack that the signal hit, goroutine?, frames, broken?, chain: of panics, at: the frame that
-- faulted and was made a panic, fault: its signal}; nil where no thread is in a panic, fatal error or signal
function death.find(deepest)
  local thread = dying(ri.threads())
  if not thread then return nil end
  local d = cause(thread)
  d.thread = thread
  local g = thread.goroutine and ri.goroutine(thread.goroutine) or nil
  local frames, broken = {}, nil
  if g then frames, broken = g:stack(deepest) end
  if g and not broken and #frames <= 1 and (#frames == 0 or frames[1].func == "runtime.goexit") then
    g, frames = nil, {} -- a thread that C began has an m of the runtime's only while its signal is handled
  end
  d.goroutine, d.frames, d.broken = g, frames, broken
  d.chain = g and panics.chain(g, frames) or {}
  if g then d.at, d.fault = sigpanicked(g, frames) end
  return d
end

--- Says in a line what ended the program, and which goroutine and thread.
-- @param d table, of death.find
-- @return string
function death.what(d)
  local who = (d.goroutine and ("in goroutine %s, "):format(tostring(d.goroutine.id)) or "in no goroutine, ") .. "thread " .. tostring(d.thread.id)
  local what = d.fatal and "fatal error: " .. d.fatal or #d.chain > 0 and "panic" or d.signal and d.signal.name or "the runtime ends it"
  return what .. " " .. who
end

return death
