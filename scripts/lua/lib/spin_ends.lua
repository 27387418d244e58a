--- What a goroutine that runs all the time asks for in vain: a reader at its end, a listener or file that is closed, a closed channel, a system call that
-- fails. Told from the receivers on its stack, and from what the kernel gave to its thread, in a stop.
--
-- Each thing that is found is {frame: int, kind: string, dead: boolean, what: string, key, final: boolean}: in which frame, of what kind, whether nothing can come of
-- it (false: something came), in words, what tells it from another of its kind, and whether it stays so.

local channels = require("spin_channels")
local locks = require("checks_locks")
local readers = require("spin_readers")
local stack = require("frames")
local words = require("words")

local ends = {}

-- How many frames from the innermost on are looked at.
local most = 24

-- errors of the kernel that say nothing (asm-generic/errno.h): EINTR, EAGAIN, ENOSYS, EINPROGRESS, EALREADY.
local silent = { [4] = true, [11] = true, [38] = true, [115] = true, [114] = true }

local names = {
  [1] = "EPERM", [2] = "ENOENT", [5] = "EIO", [9] = "EBADF", [12] = "ENOMEM", [13] = "EACCES", [17] = "EEXIST", [20] = "ENOTDIR", [21] = "EISDIR",
  [22] = "EINVAL", [23] = "ENFILE", [24] = "EMFILE", [28] = "ENOSPC", [32] = "EPIPE", [98] = "EADDRINUSE", [99] = "EADDRNOTAVAIL", [101] = "ENETUNREACH",
  [103] = "ECONNABORTED", [104] = "ECONNRESET", [107] = "ENOTCONN", [110] = "ETIMEDOUT", [111] = "ECONNREFUSED", [113] = "EHOSTUNREACH",
}

-- errors of a descriptor that it gives until it is closed.
local lasting = { EBADF = true, EPIPE = true, ENOTCONN = true, EISDIR = true }

local reads = { read = true, readlen = true, pread = true, pread64 = true, recvfrom = true, readv = true, recvmsg = true, readlinkat = false }

-- called is the name of the system call on a stack, as package syscall or x/sys/unix has it: "read".
local function called(frames)
  for i = 1, math.min(6, #frames) do
    local name = frames[i].func:match("^syscall%.(%w+)$") or frames[i].func:match("/unix%.(%w+)$")
    if name and not name:find("^[Rr]awSyscall") and not name:find("^[Rr]awVfork") and not name:find("^[Ss]yscall") then return name:lower(), i end
  end
end

-- receiver finds the receiver of a method, that optimised code no longer holds there, among the variables of its callers, if there is one only.
local function receiver_of(g, frames, i)
  local package, name = frames[i].func:match("^(.*)%.%(%*(%w+)%)%.[^.]*$")
  if not package then return nil end
  local wanted, found = "*" .. package .. "." .. name, nil
  for k = i + 1, math.min(i + 4, #frames) do
    local ok, _, _, list = pcall(g.locals, g, k)
    for _, v in ipairs(ok and list or {}) do
      if type(v.value) == "userdata" and (v.type == wanted or v.dynamic == wanted) then
        if found and ri.addr(found) ~= ri.addr(v.value) then return nil end
        found = v.value
      end
    end
  end
  return found
end

-- fixed gives the parts of a struct that are no locks: where, and how many bytes.
local function fixed(t)
  local out = {}
  for _, f in ipairs(ri.type(t).fields or {}) do
    if not f.type:find("^sync%.") then out[#out + 1] = { f.offset, ri.type(f.type).size } end
  end
  return out
end

--- Reads what the program's own functions on a stack have been given a pointer to first, their receivers, without locks.
-- @param g goroutine
-- @param frames table, of ri.stack
-- @return table, bytes by function
function ends.receivers(g, frames)
  local out = {}
  for i = 1, math.min(most, #frames) do
    if not locks.standard(frames[i].func) then
      local ok, bytes = pcall(function()
        local v = stack.arguments(g, i)[1].value
        if v == nil then v = receiver_of(g, frames, i) end
        local t = ri.typeof(v):match("^%*(.*)$")
        if not t or ri.type(t).size > 4096 then return nil end
        local parts, addr = {}, ri.addr(v)
        for _, part in ipairs(fixed(t)) do parts[#parts + 1] = ri.memory(addr + part[1], part[2]) end
        return table.concat(parts)
      end)
      if ok and bytes then out[frames[i].func] = bytes end
    end
  end
  return out
end

--- Writes how large the arguments are that the innermost of the program's own functions was given, and what it called.
-- @param g goroutine
-- @param frames table, of ri.stack
-- @return table, lists by function
function ends.given(g, frames)
  local out = {}
  for i, f in ipairs(frames) do
    if not locks.standard(f.func) then
      for k = math.max(1, i - 1), i do
        local list = {}
        for _, v in ipairs(stack.arguments(g, k)) do
          local ok, n = type(v.value) == "string", nil
          if ok then n = #v.value else ok, n = pcall(ri.len, v.value) end
          if ok and v.type == "string" or v.type == "[]uint8" or v.type == "[]byte" then
            if ok and ri.cmp(n, 1024) >= 0 then list[#list + 1] = ("%s of %s"):format(v.name, words.bytes(n)) end
          elseif ok and v.type:find("^%[%]") and ri.cmp(n, 100) >= 0 then
            list[#list + 1] = ("%s of %s elements"):format(v.name, tostring(n))
          end
        end
        out[frames[k].func] = list
      end
      break
    end
  end
  return out
end

-- Methods of a descriptor that ask something of the kernel, and how that is said.
local verbs = { { "%.[aA]ccept", "accepts on " }, { "%.[wW]rite", "writes to ", true }, { "%.[sS]end", "writes to ", true }, { "%.[rR]ead", "reads " }, { "%.[rR]ecv", "reads " } }

-- What sends and is sent packets: its ReadFrom reads, and its WriteTo writes. Others' are io.ReaderFrom's and io.WriterTo's.
local packets = { UDPConn = true, IPConn = true, UnixConn = true, FD = true, netFD = true, conn = true }

-- verb_of says what a method does, and whether it writes; nil for one that only looks, or closes.
local function verb_of(func)
  local method = func:match("%.[%w_]+$") or ""
  if not packets[func:match("%(%*(%w+)%)%.%w+$")] then
    if method == ".ReadFrom" then return "writes to ", true end
    if method == ".WriteTo" then return "reads ", false end
  end
  for _, v in ipairs(verbs) do
    if method:find("^" .. v[1]) then return v[2], v[3] or false end
  end
end

-- held finds what a function of the program has in its variables, of the standard library's types, that is at its end: what it calls may return too
-- fast to be seen at it.
local function held(g, i)
  local ok, _, _, list = pcall(g.locals, g, i)
  local out = {}
  for _, v in ipairs(ok and list or {}) do
    local t = v.dynamic or v.type
    if type(v.value) == "userdata" and t:find("^%*") and locks.standard(t:sub(2) .. ".") then
      local known, is, what, final = pcall(readers.exhausted, v.value)
      if known and is ~= nil then
        local package, name = t:match("^%*(.*)%.(%w+)$")
        out[#out + 1] = {
          frame = i, kind = "held", dead = is, what = "uses " .. (what or "a reader"), key = ri.addr(v.value), final = final, name = v.name,
          method = package and package .. ".(*" .. name .. ").", interface = v.dynamic ~= nil and v.dynamic ~= v.type,
        }
      end
    end
  end
  return out
end

-- answer is what the kernel said of a connection that was tried: an error's number, 0 for none (net/fd_unix.go, connect, asks for SO_ERROR).
local function answer(g, frames, i)
  if frames[i].func ~= "syscall.GetsockoptInt" then return nil end
  local ok, all = pcall(g.locals, g, i)
  return ok and all.n or nil
end

-- refused tells of a dial that has come to nothing: what the kernel said, or that net.socket clears up, as it does for none that came about
-- (net/sock_posix.go). Go 1.20 to 1.27.
local function refused(g, frames, call)
  for i = 1, math.min(most, #frames) - 1 do
    local errno = call and call.result == 0 and answer(g, frames, i)
    if errno and ri.cmp(errno, 0) ~= 0 or frames[i].func == "net.(*netFD).Close" and frames[i + 1].func == "net.socket" then
      local to
      for k = i + 1, math.min(i + 10, #frames) do
        for _, v in ipairs(stack.arguments(g, k)) do
          if not to and (v.name == "raddr" or v.name == "ra") and type(v.value) == "userdata" then to = readers.address(v.value) end
        end
      end
      local what = errno and "dials, which fails: " .. (names[errno] or "error " .. tostring(errno)) or "dials, and no connection comes about"
      return i + 1, { kind = "fails", dead = true, what = what .. (to and " (" .. to .. ")" or ""), key = "dial", call = "connect", exact = errno and true }
    elseif errno then
      return i, { kind = "call", dead = false, call = "connect" }
    end
  end
end

-- starting is where on a stack a program is started.
local function starting(frames)
  for i = 1, math.min(most, #frames) do
    if frames[i].func == "syscall.forkExec" then return i end
  end
end

--- Whether a goroutine is starting a program: it waits in the kernel then, but for what it has begun itself.
-- @param frames table, of ri.stack
-- @return boolean
function ends.starts(frames) return starting(frames) ~= nil end

-- started tells of a program that is started whether that has failed: the child says why by a pipe, which else is closed when it runs, and a child that has
-- failed is waited for (syscall/exec_unix.go, forkExec; Go 1.20 to 1.27).
local function started(g, at, call, name)
  if name ~= "wait4" and not (call and name == "readlen") then return nil end
  if name == "readlen" and call.result == 0 then return { kind = "call", dead = false, call = "exec", reads = true } end
  if name == "readlen" and call.result < 0 then return nil end
  local path
  for _, v in ipairs(stack.arguments(g, at)) do
    if v.name == "argv0" and type(v.value) == "string" then path = v.value end
  end
  return { kind = "fails", dead = true, call = "exec", key = "exec", what = "starts a program, which fails" .. (path and " (" .. path .. ")" or "") }
end

-- What of net/http waits for a connection that another goroutine makes for it (Go 1.20 to 1.27).
local connecting = "net/http.(*Transport).getConn"

--- Finds what other goroutines do in vain for one that waits for it: those that dial for a client of net/http.
-- @param frames table, of ri.stack: of the goroutine that waits
-- @param children function, gives the goroutines that it has started
-- @param known table, numbers of those that were seen already
-- @return table, as of ends.of
function ends.served(frames, children, known)
  local at
  for i, f in ipairs(frames) do
    if f.func == connecting and not at then at = i end
    if f.func == "net/http.(*persistConn).roundTrip" then return { { frame = i, kind = "call", dead = false, call = "connect" } } end
  end
  local out = {}
  for _, g in ipairs(at and children() or {}) do
    local ok, inner = pcall(ri.stack, g, 64)
    local dials = false
    for _, f in ipairs(ok and inner or {}) do dials = dials or f.func:find("^net/http%.%(%*Transport%)%.dialConn") ~= nil end
    if dials then
      local fresh = not known[tostring(g.id)]
      known[tostring(g.id)] = true
      local _, one = refused(g, inner, ri.syscall(g))
      if one and one.dead then
        one.what, one.frame, one.seen = one.what:gsub("^dials", "makes requests by HTTP, for which it dials"), at, true
        return { one }
      elseif fresh then
        out = { { frame = at, kind = "fails", dead = true, key = "dial", call = "connect", what = "makes requests by HTTP, and no connection comes about", guess = true } }
      end
    end
  end
  return out
end

--- Finds what a goroutine asks for in vain, in a stop.
-- @param g goroutine
-- @param frames table, of ri.stack
-- @param call table?, of ri.syscall
-- @return table, a list
function ends.of(g, frames, call)
  local out = {}
  local function note(i, one)
    if i and one then
      one.frame = i
      if channels.answers(frames, one) then return end
      out[#out + 1] = one
    end
  end
  local name, at = called(frames)
  local starts = starting(frames)
  if starts then
    note(starts, started(g, starts, call, name))
  elseif call and name then
    if call.result < 0 and not silent[-call.result] then
      local why = names[-call.result] or "error " .. tostring(-call.result)
      note(at, { kind = "fails", dead = true, what = ("calls %s, which fails: %s"):format(name, why), key = name .. call.result, call = name, lasts = lasting[why] })
    elseif call.result == 0 and reads[name] then
      note(at, { kind = "end", dead = true, what = "reads, and is told that there is no more (0 bytes)", call = name })
    elseif call.result >= 0 then
      note(at, { kind = "call", dead = false, call = name, reads = reads[name] })
    end
  end
  for i = 1, math.min(most, #frames) do
    local func = frames[i].func
    if not frames[i].inlined and channels.receives[func] ~= nil then
      note(i, channels.received(g, i, func, frames[i + 1] and frames[i + 1].func))
    elseif func == "runtime.chansend1" then
      note(i, { kind = "channel", dead = false }) -- somebody takes what it sends, or it waits
    elseif channels.sets[func] then
      note(i, channels.set(g, i))
    elseif func == "runtime.selectgo" then
      note(i, channels.selected(g, i))
    elseif locks.standard(func) and func:find("%(%*%w+%)%.") and not func:find("^runtime%.") and not func:find("^sync") then
      local receiver = stack.arguments(g, i)[1]
      local v = receiver and receiver.value
      if v == nil then v = receiver_of(g, frames, i) end
      if type(v) == "userdata" then
        local pfd = readers.descriptor(v)
        if pfd then note(i, { kind = "descriptor", fd = pfd.Sysfd, key = ri.addr(v) }) end
        local verb, writes = verb_of(func)
        local known, is, what, final
        if verb or not pfd then known, is, what, final = pcall(readers.exhausted, v, writes) end
        if known and is ~= nil then note(i, { kind = "end", dead = is, what = (verb or "reads ") .. (what or "a reader"), key = ri.addr(v), final = final }) end
      end
    end
  end
  for _, one in ipairs(out) do
    if one.kind == "descriptor" and out[1].lasts then out[1].key, out[1].final = out[1].key .. "@" .. tostring(one.key), true end
  end
  note(refused(g, frames, call))
  local own = 0
  for i = 1, math.min(most, #frames) do
    if not locks.standard(frames[i].func) and own < 2 then
      own = own + 1
      for _, one in ipairs(held(g, i)) do
        one.of = frames[i].func
        out[#out + 1] = one
      end
    end
  end
  for _, one in ipairs(out) do
    if one.dead and (one.kind == "closed" or one.kind == "timer" or one.kind == "default") then
      if one.key then one.name, one.of = channels.variable(g, frames, one.key) end
      if not one.name and one.kind ~= "timer" then one.name, one.of = "at " .. ri.hex(one.key), nil end
    end
  end
  return out
end

return ends
