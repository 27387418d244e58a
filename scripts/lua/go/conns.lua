-- Connections: what the kernel, the netpoller and the program know of each socket.

local runtime = require 'runtime'
local netpoll = require 'netpoll'
local words = require 'words'

-- first is the nearest of two deadlines.
local function first(a, b)
  if a and b then return ri.cmp(a, b) < 0 and a or b end
  return a or b
end

local function emit(fd, socket, all, ends, now, p)
  local polled = all[fd]
  local reader, writer, deadline
  if polled then
    reader, writer = polled.reader, polled.writer
    deadline = first(polled.read_deadline, polled.write_deadline)
  end
  local state = socket.state ~= '' and socket.state or nil
  if not ri.match(state or '', p.state) then return false end
  if not (ri.match(socket.local_address or '', p.address) or ri.match(socket.remote_address or '', p.address)) then return false end
  if p.unread and (socket.receive or 0) == 0 and (socket.send or 0) == 0 then return false end
  local other, others = netpoll.other(ends, all, fd)
  ri.emit {
    fd = fd, proto = socket.protocol, ['local'] = socket.local_address ~= '' and socket.local_address or nil, remote = socket.remote_address ~= '' and socket.remote_address or nil, state = state,
    rx = socket.receive, tx = socket.send, reader = reader and reader.goid or nil, writer = writer and writer.goid or nil,
    deadline = deadline and (ri.cmp(deadline, 0) < 0 and 0 or deadline - now) or nil, what = netpoll.purpose(reader or writer), other = other, others = others,
  }
  return true
end

-- As the kernel has them: include/net/tcp_states.h of Linux 6.1; of Unix sockets, include/uapi/linux/net.h.
local states = {
  "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING",
  "NEW_SYN_RECV", "CONNECTED", "CONNECTING", "DISCONNECTING",
}

return {
  title = "sockets: peers, state, bytes queued, who waits for them",
  category = "go",
  description = [[
Lists the process's sockets with what the kernel says of them (/proc) and the goroutine that waits in the netpoller to read or write, and until when. RX is
what has come and wasn't read (of a listening socket: connections that wait to be accepted), TX what was written and isn't acknowledged yet. DEADLINE is the
nearest one, 0 if it has passed. OTHER is who has the other end of a connection on this machine; where it is a Go program, the goroutine that waits there, too: that program isn't stopped. A socket that was reset, and that the program still has, is in none
of the kernel's tables: it has CLOSE. Where the kernel can't be asked, as of a core, addresses are those that the program holds in goroutines' frames, and of a core those in its heap.]],
  params = {
    { name = "state", type = "string", values = states, default = "", help = "only sockets in this state: ESTABLISHED, LISTEN, CLOSE_WAIT, ..." },
    { name = "address", type = "string", default = "", help = "only sockets with this in the local or remote address" },
    { name = "unread", type = "bool", default = false, help = "only sockets with bytes that wait to be read or acknowledged" },
  },
  columns = {
    { name = "fd", type = "int", help = "file descriptor", key = true },
    { name = "proto", help = "tcp, tcp6, udp, udp6, unix", hidden = true },
    { name = "local", help = "the own address", cut = "left", key = true },
    { name = "remote", help = "the peer's address", cut = "left", key = true },
    { name = "state", help = "as the kernel has it", width = 11 },
    { name = "rx", type = "bytes", help = "come and not read" },
    { name = "tx", type = "bytes", help = "written and not acknowledged" },
    { name = "reader", type = "int", help = "goroutine that waits to read, or to accept" },
    { name = "writer", type = "int", help = "goroutine that waits to write", optional = true },
    { name = "deadline", type = "duration", help = "until the nearest deadline", optional = true },
    { name = "other", help = "who has the other end, if it is on this machine: process, descriptor, and the goroutine that waits there", cut = "left", optional = true },
    { name = "others", help = "all who have it", hidden = true },
    { name = "what", help = "what that goroutine is doing", cut = "left" },
  },
  sample = [[
FD  LOCAL           REMOTE           STATE           RX       TX  READER  WRITER  DEADLINE  OTHER           WHAT
 3  127.0.0.1:8080  -                LISTEN         0 B      0 B      21       -         -  -               net/http.(*Server).Serve
 8  127.0.0.1:8080  127.0.0.1:51344  ESTABLISHED    0 B      0 B      44       -     1h59m  nginx 801 fd 9  net/http.(*conn).serve
 9  127.0.0.1:9001  127.0.0.1:51350  ESTABLISHED  777 B  2.5 MiB       -      51         -  -               main.(*Session).send]],
  run = function(p)
    local now = runtime.nanotime()
    local polled = netpoll.all()
    local descriptors, why = ri.descriptors()
    local ends = ri.ends()
    local shown, known = 0, nil
    for _, d in ipairs(descriptors) do
      local socket = d.socket
      if socket and socket.protocol == '?' and polled[d.fd] then
        -- One that was reset is in none of the kernel's tables any more, while the program still has it.
        known = known or netpoll.known()
        socket = known[d.fd] or {}
        socket.state = (socket.protocol or ''):find('^tcp') and 'CLOSE' or ''
      end
      if socket and socket.protocol ~= '?' and emit(d.fd, socket, polled, ends, now, p) then shown = shown + 1 end
    end
    if why then
      ri.log('sockets as the program and the netpoller have them: ' .. why)
      known = netpoll.known(polled)
      local fds, others = {}, {}
      for fd in pairs(polled) do
        fds[#fds + 1] = fd
        if not known[fd] then others[fd] = true end
      end
      table.sort(fds)
      local files = netpoll.files(others) -- pipes, say
      for _, fd in ipairs(fds) do
        if not files[fd] and emit(fd, known[fd] or { state = '' }, polled, ends, now, p) then shown = shown + 1 end
      end
    end
    print(words.count(shown, 'socket'))
  end,
}
