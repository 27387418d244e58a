-- Ends connections of the process, without a stop.

return {
  title = "end the connections with an address",
  category = "go",
  description = [[
Ends the TCP connections of the process whose local or remote address matches, through a duplicate of the descriptor (pidfd_getfd): how=reset sends a
RST, so that both ends see an error; how=shutdown ends the stream in good order. The program isn't stopped; it sees its reads and writes fail, and closes the descriptor itself.]],
  params = {
    { name = "remote", type = "string", help = "the peer's address, 10.0.0.7:4222, or a part of it" },
    { name = "local", type = "string", help = "the process's own address of the connection, or a part of it" },
    { name = "fd", type = "int", help = "the descriptor" },
    { name = "how", type = "enum", values = { "reset", "shutdown" }, default = "reset", help = "with an error, or in good order" },
    { name = "max", type = "int", default = 1, help = "more than so many are refused" },
  },
  columns = {
    { name = "fd", type = "int", help = "descriptor", key = true },
    { name = "local_address", help = "the process's own address", key = true },
    { name = "remote_address", help = "the peer's", key = true },
    { name = "state", help = "as the kernel has it, before" },
  },
  sample = [[
FD  LOCAL ADDRESS    REMOTE ADDRESS   STATE
11  127.0.0.1:40001  127.0.0.1:51234  ESTABLISHED]],
  run = function(p)
    if p.remote == nil and p["local"] == nil and p.fd == nil then error("which connections? Say remote=ADDRESS, local=ADDRESS or fd=N", 0) end
    local chosen = {}
    for _, d in ipairs(ri.descriptors()) do
      local s = d.socket
      local fits = s and s.protocol:find("^tcp") and s.state ~= "LISTEN" and (p.fd == nil or p.fd == d.fd)
        and (p.remote == nil or s.remote_address:find(p.remote, 1, true)) and (p["local"] == nil or s.local_address:find(p["local"], 1, true))
      if fits then
        chosen[#chosen + 1] = d
        ri.emit { fd = d.fd, local_address = s.local_address, remote_address = s.remote_address, state = s.state }
      end
    end
    if #chosen == 0 then error("no connection of the process matches (ri run conns lists them)", 0) end
    if #chosen > p.max then error(("%d connections match; say more of the one that is meant, or max=%d"):format(#chosen, #chosen), 0) end
    ri.change(p.how .. " of " .. chosen[1].socket.local_address .. " to " .. chosen[1].socket.remote_address, function(tx)
      for _, c in ipairs(chosen) do
        if p.how == "reset" then tx:reset(c) else tx:shutdown(c) end
      end
    end)
  end,
}
