-- What a NATS server logs.

local nats = require("nats/server")

return {
  title = "what a NATS server logs: debug and trace",
  category = "nats",
  description = [[
Shows whether a server logs debug and trace messages, as its options -D and -V say, or a reload. As a table of OVSDB (ri tables, ri serve) its columns can be changed while the server runs:
1 is on, 0 is off. The server looks at them before each message that it may log.]],
  needs = {
    runtime = { "goroutine" },
    types = { nats.package .. "Server" },
    fields = { nats.package .. "Server.info", nats.package .. "Server.logging" },
  },
  columns = {
    { name = "server", help = "the server's id", key = true },
    { name = "debug", type = "int", help = "1: debug messages are logged", change = true },
    { name = "trace", type = "int", help = "1: what the protocol says is logged", change = true },
  },
  sample = [[
SERVER                                                    DEBUG  TRACE
NCXKLPOPSE4QZBPPXCMMMQN7N3PSKJKJFM7BD4FWCMJZBEBOWUOJ5VPK      0      0]],
  run = function()
    local server = nats.server()
    local logging = server.logging
    ri.emit({ server = server.info.ID, debug = logging.debug, trace = logging.trace }, { debug = ri.ref(logging, "debug"), trace = ri.ref(logging, "trace") })
  end,
}
