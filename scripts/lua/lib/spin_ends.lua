--- What a goroutine that runs all the time asks for in vain: a reader at its end, a listener or file that is closed, a closed channel, a system call that
-- fails. Told from the receivers on its stack, and from what the kernel gave to its thread, in a stop.
--
-- Each thing that is found is {frame: int, kind: string, dead: boolean, what: string, key, final: boolean}: in which frame, of what kind, whether nothing can come of
-- it (false: something came), in words, what tells it from another of its kind, and whether it stays so.

local locks = require("checks_locks")
local runtime = require("runtime")
local timers = require("timers")
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

-- own gives a value's fields, or nil.
local function field(v, ...)
  for _, name in ipairs { ... } do
    local ok, inner = pcall(function() return v[name] end)
    if not ok or inner == nil then return nil end
    v = inner
  end
  return v
end

local function typeof(v)
  if type(v) ~= "userdata" then return "" end
  local ok, t = pcall(ri.typeof, v)
  return ok and t:gsub("^%*", "") or ""
end

-- descriptor finds the internal/poll.FD of what reads, writes or accepts.
local function descriptor(v)
  local t = typeof(v)
  if t == "internal/poll.FD" then return v end
  if t == "os.File" then return field(v, "file", "pfd") end
  if t == "os.file" or t == "net.netFD" then return field(v, "pfd") end
  if t == "net.conn" or t == "net.TCPListener" or t == "net.UnixListener" then return field(v, "fd", "pfd") end
  if t == "net.TCPConn" or t == "net.UnixConn" or t == "net.UDPConn" or t == "net.IPConn" then return field(v, "conn", "fd", "pfd") end
end

-- eof tells whether a value of type error is io.EOF.
local function eof(err)
  if type(err) ~= "userdata" then return false end
  local ok, same = pcall(function() return ri.addr(err) == ri.addr(ri.var "io.EOF") end)
  return ok and same
end

-- made is the address of the runtime.hchan that a variable of a channel's type leads to.
local function made(v)
  local bytes, addr = ri.memory(ri.addr(v), 8), 0
  for i = 8, 1, -1 do addr = addr * 256 + bytes:byte(i) end
  return addr
end

-- before is whether the program's channels don't know their timers (before Go 1.23).
local before

-- due is when the timer of a channel is due; nil where it has none.
local function due(c, addr)
  if before == nil then before = not runtime.has(c, "timer") end
  if not before then return field(c, "timer", "when") end
  if c.elemsize ~= 24 or c.dataqsiz ~= 1 then return nil end -- of a time.Time, as time.NewTimer makes it
  return timers.sends()[ri.hex(addr)]
end

-- channel is a runtime.hchan of which a closed one gives zero values at once; and whether it is a timer's, and that is due: "due", "later".
local function channel(addr)
  local ok, c = pcall(ri.at, addr, "runtime.hchan")
  if not ok or not c then return nil end
  local known, when = pcall(due, c, addr)
  when = known and when or nil
  return c, c.closed ~= 0 and c.qcount == 0, when and (ri.cmp(when, runtime.nanotime()) <= 0 and "due" or "later")
end

-- address writes one of package net.
local function address(a)
  local ok, text = pcall(function()
    if a.IP == nil then return a.Name end
    local b = ri.bytes(a.IP)
    local ip = #b >= 4 and ("%d.%d.%d.%d"):format(b:byte(#b - 3, #b)) or ""
    if #b == 16 and b:sub(1, 12) ~= ("\0"):rep(10) .. "\255\255" then
      local parts = {}
      for i = 1, 16, 2 do parts[#parts + 1] = ("%x"):format(b:byte(i) * 256 + b:byte(i + 1)) end
      ip = "[" .. table.concat(parts, ":") .. "]"
    end
    return ip .. ":" .. tostring(a.Port)
  end)
  return ok and text or nil
end

-- named says which file, listener or connection it is, from its own names and addresses.
local function named(v)
  local t = typeof(v)
  local path = field(v, "file", "name") or t == "os.file" and field(v, "name")
  if path then return "os.File " .. path end
  local fd = t == "net.netFD" and v or field(v, "fd") or field(v, "conn", "fd")
  local own, peer = fd and address(field(fd, "laddr")), fd and address(field(fd, "raddr"))
  return own and (peer and own .. " to " .. peer or own)
end

-- passed tells whether a descriptor's deadline has passed, for reading or writing (runtime/netpoll.go, pollDesc: rd and wd are negative then).
local function passed(pfd, writes)
  local ok, past = pcall(function()
    local desc = ri.at(pfd.pd.runtimeCtx, "runtime.pollDesc")
    return ri.cmp(writes and desc.wd or desc.rd, 0) < 0
  end)
  return ok and past
end

-- article writes a type's name with its article.
local function article(t) return (t:find("^[aeio]") and "an " or "a ") .. t end

-- failed says what a type of the standard library keeps that has failed: all of them that have such a field fail from then on.
local function failed(v, t)
  for _, name in ipairs { "err", "rerr", "readErr" } do
    local ok, err = pcall(function() return v[name] end)
    if ok and eof(err) then return ("%s at its end (io.EOF)"):format(article(t)) end
    if ok and type(err) == "userdata" then
      local known, is = pcall(ri.typeof, err)
      if known and (is:find("Error$") or is:find("[eE]rrorString$")) then return ("%s that has failed, and says so each time (%s)"):format(article(t), is) end
    end
  end
end

-- exhausted tells of a reader whether it is at its end, true or false, and in words; nil where that isn't known. writes: it is written to.
local function exhausted(v, depth, writes)
  local t = typeof(v)
  depth = depth or 0
  if depth > 4 or t == "" then return nil end
  if t == "strings.Reader" or t == "bytes.Reader" then
    return v.i >= #v.s, ("a %s at its end"):format(t)
  elseif t == "bytes.Buffer" then
    return v.off >= #v.buf, "an empty bytes.Buffer"
  elseif t == "bufio.Reader" then
    if ri.cmp(v.w, v.r) > 0 then return false end
    if eof(v.err) then return true, "a bufio.Reader at its end (io.EOF)" end
    return exhausted(v.rd, depth + 1)
  elseif t == "bufio.Scanner" then
    if field(v, "done") == true or v.err ~= nil and v.start == v["end"] then return true, "a bufio.Scanner that has stopped", true end
    return nil
  elseif t == "io.PipeReader" or t == "io.pipe" then
    local p = t == "io.pipe" and v or field(v, "pipe")
    local done = p and field(p, "done")
    local c, closed = channel(done and made(done) or 0)
    if c and closed then return true, "an io.Pipe that is closed", true end
    return nil
  elseif t == "io.LimitedReader" then
    if ri.cmp(v.N, 0) <= 0 then return true, "an io.LimitedReader at its limit" end
    return exhausted(v.R, depth + 1)
  end
  local pfd = descriptor(v)
  if pfd then
    if field(pfd, "fdmu", "state") % 2 == 1 then return true, ("what is closed (%s)"):format(named(v) or "its descriptor is gone"), true end
    if passed(pfd, writes) then return true, ("what has a deadline that has passed (%s)"):format(named(v) or "a descriptor") end
    return nil
  end
  local what = locks.standard(t .. ".") and not t:find("^context%.") and failed(v, t)
  if what then return true, what end
end

-- argument gives the first argument of a frame that is of one of several types, or the first at all.
local function arguments(g, i)
  local ok, _, _, list = pcall(g.locals, g, i)
  local out = {}
  if ok then
    for _, v in ipairs(list) do
      if v.argument and not v.result then out[#out + 1] = v end
    end
  end
  return out
end

local receives = { ["runtime.chanrecv1"] = true, ["runtime.chanrecv2"] = true, ["runtime.selectnbrecv"] = false, ["runtime.chanrecv"] = 0 }

-- received looks at the channel of a receive.
local function received(g, i, func, outer)
  for _, v in ipairs(arguments(g, i)) do
    if v.name == "c" and v.value ~= nil then
      local addr = ri.addr(v.value)
      local c, closed, timer = channel(addr)
      if not c then return nil end
      local blocks = receives[func] == true or receives[func] == 0 and receives[outer] == true
      if closed then return { kind = "closed", dead = true, what = "receives from a channel that is closed", key = addr } end
      if timer == "due" then return { kind = "timer", dead = true, what = "receives from a timer's channel, and the timer is due at once each time", key = addr, exact = true } end
      if blocks then return { kind = "channel", dead = false, key = addr } end
      return { kind = "default", dead = true, what = "asks a channel, and does something else where nothing is there", key = addr }
    end
  end
end

-- selected looks at the channels of a select.
local function selected(g, i)
  local known, at = pcall(g.locals, g, i)
  if not known or at.cas0 == nil then return nil end
  local sends, all, blocks = at.nsends or 0, at.ncases or at.nsends and at.nrecvs and at.nsends + at.nrecvs, at.block
  if not all then return nil end
  local addr, size, timer = ri.addr(at.cas0), ri.type("runtime.scase").size, nil
  for k = sends, math.min(all, 64) - 1 do
    local case = ri.at(addr + k * size, "runtime.scase")
    if case.c ~= nil then
      local c, closed, due = channel(ri.addr(case.c))
      if c and closed then return { kind = "closed", dead = true, what = "selects, and a case of it is a channel that is closed", key = ri.addr(case.c) } end
      timer = timer or c and due == "due" and ri.addr(case.c)
    end
  end
  if timer then return { kind = "timer", dead = true, what = "selects, and a timer is due at once each time", key = timer, exact = true } end
  if blocks == true then return { kind = "channel", dead = false, key = addr } end
end

-- set tells of a timer that is just being made or set again whether it is due at once: by the time that it was given.
local function set(g, i)
  local known, at = pcall(g.locals, g, i)
  local d = known and at.d
  if d == nil then return { kind = "setting" } end -- a look at what waits for it may tell
  if ri.cmp(d, 0) <= 0 then return { kind = "timer", dead = true, what = "sets a timer again and again, and a timer is due at once each time" } end
end

-- What makes a timer or sets one, and is given after how long it is due.
local sets = { ["time.NewTimer"] = true, ["time.(*Timer).Reset"] = true }

-- variable finds the name of what is at an address among the variables of the program's own frames.
local function variable(g, frames, addr)
  local seen = 0
  for i, f in ipairs(frames) do
    if not locks.standard(f.func) then
      seen = seen + 1
      if seen > 3 then return nil end
      local ok, _, _, list = pcall(g.locals, g, i)
      for _, v in ipairs(ok and list or {}) do
        local found, name = pcall(function()
          if type(v.value) ~= "userdata" then return nil end
          if v.type:find("^<?%-?chan ") or v.type:find("^chan") or v.type:find("^<%-chan") then return made(v.value) == addr and v.name or nil end
          if v.type == "context.Context" then
            local done = field(v.value, "done") or field(v.value, "cancelCtx", "done")
            return done and (ri.addr(done) == addr or made(done) == addr) and v.name .. ".Done()" or nil
          end
        end)
        if found and name then return name, f.func end
      end
    end
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
        local v = arguments(g, i)[1].value
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
        for _, v in ipairs(arguments(g, k)) do
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

-- verb_of says what a method does, and whether it writes; nil for one that only looks, or closes.
local function verb_of(func)
  local method = func:match("%.[%w_]+$") or ""
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
      local known, is, what, final = pcall(exhausted, v.value)
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
        for _, v in ipairs(arguments(g, k)) do
          if not to and (v.name == "raddr" or v.name == "ra") and type(v.value) == "userdata" then to = address(v.value) end
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
  for _, v in ipairs(arguments(g, at)) do
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

--- Takes what a goroutine was woken by for a timer that was due at once: of those before Go 1.23 nothing is left by then. For one that was seen to wait for such
-- timers, and never for one that wasn't due.
-- @param frames table, of ri.stack
-- @param found table, of ends.of; what is found is added
function ends.overdue(frames, found)
  for i = 1, math.min(4, #frames) do
    local func = frames[i].func
    if receives[func] == true or func == "runtime.selectgo" then
      for k = #found, 1, -1 do
        if found[k].kind == "channel" then table.remove(found, k) end
      end
      local what = func == "runtime.selectgo" and "selects, and a timer is due at once each time" or "receives from a timer's channel, and the timer is due at once each time"
      found[#found + 1] = { frame = i, kind = "timer", dead = true, what = what, key = 0 }
      return
    end
  end
end

-- What of the standard library waits for an answer that other goroutines of its own fetch: what comes by its channels may be that there is none.
local answers = { "^net/http%.%(%*Transport%)%.getConn$", "^net%.%(%*[rR]esolver", "^internal/singleflight%." }

-- answered tells whether a channel is one of these.
local function answered(frames, one)
  if one.kind ~= "channel" then return false end
  for i = one.frame, math.min(one.frame + 2, #frames) do
    for _, pattern in ipairs(answers) do
      if frames[i].func:find(pattern) then return true end
    end
  end
  return false
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
      if answered(frames, one) then return end
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
    if not frames[i].inlined and receives[func] ~= nil then
      note(i, received(g, i, func, frames[i + 1] and frames[i + 1].func))
    elseif func == "runtime.chansend1" then
      note(i, { kind = "channel", dead = false }) -- somebody takes what it sends, or it waits
    elseif sets[func] then
      note(i, set(g, i))
    elseif func == "runtime.selectgo" then
      note(i, selected(g, i))
    elseif locks.standard(func) and func:find("%(%*%w+%)%.") and not func:find("^runtime%.") and not func:find("^sync") then
      local receiver = arguments(g, i)[1]
      local v = receiver and receiver.value
      if v == nil then v = receiver_of(g, frames, i) end
      if type(v) == "userdata" then
        local pfd = descriptor(v)
        if pfd then note(i, { kind = "descriptor", fd = pfd.Sysfd, key = ri.addr(v) }) end
        local verb, writes = verb_of(func)
        local known, is, what, final
        if verb or not pfd then known, is, what, final = pcall(exhausted, v, 0, writes) end
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
      if one.key then one.name, one.of = variable(g, frames, one.key) end
      if not one.name and one.kind ~= "timer" then one.name, one.of = "at " .. ri.hex(one.key), nil end
    end
  end
  return out
end

return ends
