-- Open files and all other descriptors.

local netpoll = require 'netpoll'
local words = require 'words'

-- held gives the os.Files that goroutines' frames and variables lead to, by descriptor: all that there is of a core.
local function held()
  local byfd = {}
  local found, list = pcall(ri.find, 'os.file', { max = 10000 })
  for _, f in ipairs(found and list or {}) do
    pcall(function() byfd[f.value.pfd.Sysfd] = { name = f.value.name, where = f.where } end)
  end
  return byfd
end

return {
  title = "open files, pipes and other descriptors",
  category = "go",
  description = [[
Lists the process's open descriptors with what the kernel says of them (/proc), and the goroutine that waits in the netpoller for one. OTHER is who has the other end of a pipe or a
connection on this machine; where it is a Go program, the goroutine that waits there too: that program isn't stopped. Sockets are told of by conns. Where
the kernel can't be asked, as of a core, the files are those that variables and goroutines' frames hold.]],
  params = {
    { name = "path", type = "string", default = "", help = "only those with this in their path: a part of it, or a regular expression" },
    { name = "kind", type = "string", default = "", help = "only this kind: file, directory, device, pipe, socket, eventpoll, eventfd, ..." },
  },
  columns = {
    { name = "fd", type = "int", help = "file descriptor", key = true },
    { name = "kind", help = "file, directory, device, pipe, socket, eventpoll, ..." },
    { name = "position", type = "int", help = "where the next read or write of a file is" },
    { name = "flags", help = "as of open(2)", width = 14 },
    { name = "goroutine", type = "int", help = "who waits for it in the netpoller", optional = true },
    { name = "other", help = "who has the other end of a pipe or connection: process, descriptor, and the goroutine that waits there", optional = true },
    { name = "others", help = "all who have it", hidden = true },
    { name = "path", help = "as the kernel has it", cut = "left", key = true },
  },
  sample = [[
FD  KIND    POSITION  FLAGS              GOROUTINE  OTHER             PATH
 0  device         0  RDWR                       -  -                 /dev/null
 4  file         123  RDWR|CLOEXEC               -  -                 /var/log/server.log
 7  pipe           0  RDONLY|NONBLOCK           31  rotate 4712 fd 1  pipe:[4711] ]],
  run = function(p)
    local polled = netpoll.all()
    local descriptors, why = ri.descriptors()
    local kinds, order, seen = {}, {}, 0
    local ends = ri.ends()
    local function emit(d, goroutine)
      local other, others = netpoll.other(ends, polled, d.fd)
      kinds[d.kind], seen = (kinds[d.kind] or 0) + 1, seen + 1
      if kinds[d.kind] == 1 then order[#order + 1] = d.kind end
      if ri.match(d.kind, p.kind) and ri.match(d.path or '', p.path) then
        ri.emit { fd = d.fd, kind = d.kind, position = d.position, flags = d.flags, goroutine = goroutine, path = d.path, problem = d.problem, other = other, others = others }
      end
    end
    local function waits(fd)
      local one = polled[fd]
      local g = one and (one.reader or one.writer)
      return g and g.goid or nil
    end
    for _, d in ipairs(descriptors) do emit(d, waits(d.fd)) end
    if why then
      ri.log('files that variables and frames hold: ' .. why)
      local fds = {}
      local files = held()
      for fd in pairs(files) do fds[#fds + 1] = fd end
      table.sort(fds)
      for _, fd in ipairs(fds) do emit({ fd = fd, kind = 'file', path = files[fd].name }, waits(fd)) end
    end
    local parts = {}
    table.sort(order)
    for _, kind in ipairs(order) do parts[#parts + 1] = kinds[kind] .. ' ' .. kind end
    print(words.count(seen, 'descriptor') .. (#parts > 0 and ': ' .. table.concat(parts, ', ') or ''))
  end,
}
