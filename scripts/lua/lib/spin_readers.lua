--- Readers, files, listeners and connections that a goroutine which runs all the time asks in vain: they are at their end, closed, or have failed.

local channels = require("spin_channels")
local fields = require("fields")
local locks = require("checks_locks")

local readers = {}

--- Finds the internal/poll.FD of what reads, writes or accepts.
-- @param v any
-- @return any
function readers.descriptor(v)
  local t = fields.type(v)
  if t == "internal/poll.FD" then return v end
  if t == "os.File" then return fields.of(v, "file", "pfd") end
  if t == "os.file" or t == "net.netFD" then return fields.of(v, "pfd") end
  if t == "net.conn" or t == "net.TCPListener" or t == "net.UnixListener" then return fields.of(v, "fd", "pfd") end
  if t == "net.TCPConn" or t == "net.UnixConn" or t == "net.UDPConn" or t == "net.IPConn" then return fields.of(v, "conn", "fd", "pfd") end
end

-- eof tells whether a value of type error is io.EOF.
local function eof(err)
  if type(err) ~= "userdata" then return false end
  local ok, same = pcall(function() return ri.addr(err) == ri.addr(ri.var "io.EOF") end)
  return ok and same
end

--- Writes an address of package net.
-- @param a any
-- @return string?
function readers.address(a)
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
  local t = fields.type(v)
  local path = fields.of(v, "file", "name") or t == "os.file" and fields.of(v, "name")
  if path then return "os.File " .. path end
  local fd = t == "net.netFD" and v or fields.of(v, "fd") or fields.of(v, "conn", "fd")
  local own, peer = fd and readers.address(fields.of(fd, "laddr")), fd and readers.address(fields.of(fd, "raddr"))
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

-- What is read, and what may be written to beside without an end.
local gives = { ["bytes.Buffer"] = true, ["bufio.Reader"] = true, ["strings.Reader"] = true, ["bytes.Reader"] = true }

--- Tells of a reader whether it is at its end.
-- @param v any
-- @param writes boolean?, it is written to
-- @param depth int?, of readers around it
-- @return boolean?, nil where that isn't known
-- @return string?, in words
-- @return boolean?, whether it stays so
function readers.exhausted(v, writes, depth)
  local t = fields.type(v)
  depth = depth or 0
  if depth > 4 or t == "" then return nil end
  if writes and gives[t] then return nil end -- bytes come into it
  if t == "strings.Reader" or t == "bytes.Reader" then
    return v.i >= #v.s, ("a %s at its end"):format(t)
  elseif t == "bytes.Buffer" then
    return v.off >= #v.buf, "an empty bytes.Buffer"
  elseif t == "bufio.Reader" then
    if ri.cmp(v.w, v.r) > 0 then return false end
    if eof(v.err) then return true, "a bufio.Reader at its end (io.EOF)" end
    return readers.exhausted(v.rd, writes, depth + 1)
  elseif t == "bufio.Scanner" then
    if fields.of(v, "done") == true or v.err ~= nil and v.start == v["end"] then return true, "a bufio.Scanner that has stopped", true end
    return nil
  elseif t == "io.PipeReader" or t == "io.pipe" then
    local p = t == "io.pipe" and v or fields.of(v, "pipe")
    local done = p and fields.of(p, "done")
    local c, closed = channels.at(done and channels.made(done) or 0)
    if c and closed then return true, "an io.Pipe that is closed", true end
    return nil
  elseif t == "io.LimitedReader" then
    if ri.cmp(v.N, 0) <= 0 then return true, "an io.LimitedReader at its limit" end
    return readers.exhausted(v.R, writes, depth + 1)
  end
  local pfd = readers.descriptor(v)
  if pfd then
    if fields.of(pfd, "fdmu", "state") % 2 == 1 then return true, ("what is closed (%s)"):format(named(v) or "its descriptor is gone"), true end
    if passed(pfd, writes) then return true, ("what has a deadline that has passed (%s)"):format(named(v) or "a descriptor") end
    return nil
  end
  local what = locks.standard(t .. ".") and not t:find("^context%.") and failed(v, t)
  if what then return true, what end
end

return readers
