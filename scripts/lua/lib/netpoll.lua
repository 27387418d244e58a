--- The netpoller: who waits for which descriptor, and until when.
--
-- A runtime.pollDesc (runtime/netpoll.go, Go 1.20 to 1.27) has in `rg` and `wg` the goroutine that waits to read and to write (1 and 2 stand
-- for "ready" and "about to wait"), in `rd` and `wd` the deadlines in nanotime: 0 without one, negative once it has passed.

local netpoll = {}

local function goroutine(word)
  if word == nil or word == 0 or ri.cmp(word, 2) <= 0 then return nil end
  return ri.at(word, 'runtime.g')
end

--- What the netpoller has of each descriptor, by its number. Where it can't be read, as of a stripped program of some releases, that is said, and it is as if
-- nobody waited: the kernel knows descriptors without it.
-- @return table: of fd to {reader: *runtime.g?, writer: *runtime.g?, read_deadline: int?, write_deadline: int?, desc: *runtime.pollDesc}
function netpoll.all()
  local never = ri.int'9223372036854775807'
  local byfd = {}
  local ok, polled = pcall(ri.polled)
  if not ok then
    ri.log("which goroutines wait for which descriptor isn't known: " .. tostring(polled):gsub("^[^:]*%.lua:%d+: ", ""))
    return byfd
  end
  for _, pd in ipairs(polled) do
    -- One that can't be reached (runtime.poll_runtime_pollSetDeadline: the sum overflowed) is none; one far in the past has passed.
    local function deadline(at)
      if ri.cmp(at, 0) == 0 or ri.cmp(at, never) == 0 then return nil end
      return ri.cmp(at, 0) < 0 and -1 or at
    end
    if pd.closing ~= true then
      byfd[pd.fd] = {
        reader = goroutine(pd.rg), writer = goroutine(pd.wg), read_deadline = deadline(pd.rd), write_deadline = deadline(pd.wd), desc = pd,
      }
    end
  end
  return byfd
end

-- ipv6 writes an address as RFC 5952 has it: the longest run of zeros, of two at least, as "::".
local function ipv6(ip)
  local parts, from, most = {}, 0, 1
  for i = 1, #ip, 2 do parts[#parts + 1] = ip:byte(i) * 256 + ip:byte(i + 1) end
  local run = 0
  for i, part in ipairs(parts) do
    run = part == 0 and run + 1 or 0
    if run > most then from, most = i - run + 1, run end
  end
  local function text(first, last)
    local list = {}
    for i = first, last do list[#list + 1] = ('%x'):format(parts[i]) end
    return table.concat(list, ':')
  end
  if from == 0 then return text(1, #parts) end
  return text(1, from - 1) .. '::' .. text(from + most, #parts)
end

--- The text of a net.Addr; nil of one that is of no known type.
-- @param address net.Addr
-- @return string?
function netpoll.address(address)
  if address == nil or type(address) ~= 'userdata' then return nil end
  local kind = ri.typeof(address)
  if kind == '*net.UnixAddr' then return address.Name end
  if kind ~= '*net.TCPAddr' and kind ~= '*net.UDPAddr' then return nil end
  local ip = ri.bytes(address.IP)
  if ri.token(ip) then return ('%s:%d'):format(ip, address.Port) end
  if #ip == 16 and ip:sub(1, 12) == ('\0'):rep(10) .. '\255\255' then ip = ip:sub(13) end
  if #ip == 4 then return ('%d.%d.%d.%d:%d'):format(ip:byte(1), ip:byte(2), ip:byte(3), ip:byte(4), address.Port) end
  return ('[%s]:%d'):format(ipv6(ip), address.Port)
end

--- What the program knows of its sockets by itself, by descriptor: for targets whose descriptors can't be had. Finds those in goroutines' frames,
-- and, if others are polled too and it is a core, in the heap.
-- @param polled table?: as of netpoll.all
-- @return table: of fd to {protocol, local_address, remote_address}
function netpoll.known(polled)
  local byfd = {}
  local function note(n)
    if n ~= nil then
      pcall(function()
        local fd = n.pfd.Sysfd
        -- A frame may still have one that was closed (internal/poll/fd_mutex.go: mutexClosed).
        if ri.bit.band(n.pfd.fdmu.state, 1) ~= 0 then return end
        if polled and polled[fd] and byfd[fd] then return end
        byfd[fd] = { protocol = n.net .. (n.family == 10 and n.net:find('^%a+$') and n.net ~= 'unix' and '6' or ''), local_address = netpoll.address(n.laddr), remote_address = netpoll.address(n.raddr) }
      end)
    end
  end
  local found, list = pcall(ri.find, 'net.netFD', { max = 10000 })
  for _, f in ipairs(found and list or {}) do note(f.value) end
  local missing = false
  for fd in pairs(polled or {}) do missing = missing or not byfd[fd] end
  if missing and ri.target().kind ~= 'process' then
    local walked, instances = pcall(function() return ri.heap():instances('net.netFD') end)
    for _, address in ipairs(walked and instances or {}) do
      -- One that was closed waits for the collector: its descriptor may be another's by now.
      local n = ri.at(address, 'net.netFD')
      local open, context = pcall(function() return n.pfd.pd.runtimeCtx end)
      if open and context ~= 0 then note(n) end
    end
  end
  return byfd
end

--- Which of some descriptors are an os.File's, as a pipe's are that is polled: for targets whose descriptors can't be had. Found as in known.
-- @param fds table: of fd to true
-- @return table: of fd to true
function netpoll.files(fds)
  local out = {}
  local function note(file)
    pcall(function()
      local fd = file.pfd.Sysfd
      if fds[fd] and file.pfd.pd.runtimeCtx ~= 0 and ri.bit.band(file.pfd.fdmu.state, 1) == 0 then out[fd] = true end
    end)
  end
  if next(fds) == nil then return out end
  local found, list = pcall(ri.find, 'os.File', { max = 10000 })
  for _, f in ipairs(found and list or {}) do
    if f.value ~= nil then pcall(function() note(f.value.file) end) end
  end
  if ri.target().kind ~= 'process' then
    local walked, instances = pcall(function() return ri.heap():instances('os.file') end)
    for _, address in ipairs(walked and instances or {}) do note(ri.at(address, 'os.file')) end
  end
  return out
end

--- The function of a goroutine that waits: the innermost one that isn't of the runtime, the netpoller or package net and its like.
-- @param g *runtime.g?
-- @return string?
function netpoll.purpose(g)
  if g == nil then return nil end
  local one = ri.goroutine(g.goid)
  if not one then return nil end
  local frames = one:stack(64)
  for _, f in ipairs(frames) do
    local package = f.func:match('^([%w_./-]-)%.[^/]*$') or ''
    if not (package:find('^runtime') or package:find('^internal/') or package == 'net' or package == 'io' or package == 'bufio' or package == 'bytes' or package == 'crypto/tls' or package == 'os' or package == 'syscall') then
      return f.func
    end
  end
  return one.start.func
end

--- The other end of a descriptor in words, and who has it.
-- @param ends table: as ri.ends gives it
-- @param polled table: as netpoll.all gives it
-- @param fd int
-- @return string?, table?
function netpoll.other(ends, polled, fd)
  local all = ends[fd]
  if not all then return nil end
  if #all == 0 then return "nobody (that ri may see)", {} end
  for _, e in ipairs(all) do
    if e.itself then
      local one = polled[e.fd]
      local g = one and (one.reader or one.writer)
      e.goroutine, e.func = g and g.goid or nil, netpoll.purpose(g)
    end
  end
  local e = all[1]
  local text = e.itself and ("itself fd %d"):format(e.fd) or ("%s %d fd %d"):format(e.name, e.pid, e.fd)
  if e.goroutine then text = ("%s, goroutine %s"):format(text, tostring(e.goroutine)) end
  if e.func and not e.itself then text = text .. " in " .. e.func end
  return #all > 1 and ("%s, and %d more"):format(text, #all - 1) or text, all
end

return netpoll
