-- net/http servers: for how long they wait.

local http = require 'http_server'
local words = require 'words'

-- The columns that are fields of the server.
local fields = { read_header_timeout = 'ReadHeaderTimeout', read_timeout = 'ReadTimeout', write_timeout = 'WriteTimeout', idle_timeout = 'IdleTimeout', max_header = 'MaxHeaderBytes' }

return {
  title = "net/http: servers, for how long they wait for clients",
  category = "go",
  description = [[
Lists the net/http servers that accept connections, with their timeouts. A server without any (0) keeps a connection for a client that says nothing for as long as the client likes. As a table of OVSDB
(ri tables, ri serve) the timeouts can be changed while the program runs: the next request of each connection goes by them, and what is waited for already is waited for as it was. HTTP/2 takes
them when a connection begins.]],
  needs = { types = { "net/http.Server" }, runtime = { "goroutine" }, fields = { "net/http.Server.ReadTimeout", "net/http.Server.ReadHeaderTimeout", "net/http.Server.WriteTimeout", "net/http.Server.IdleTimeout" } },
  columns = {
    { name = "server", type = "address", help = "of the http.Server", key = true },
    { name = "address", help = "where it listens", key = true },
    { name = "read_header_timeout", type = "duration", help = "for a request's header; 0: read_timeout", change = true },
    { name = "read_timeout", type = "duration", help = "for a whole request; 0: no limit", change = true },
    { name = "write_timeout", type = "duration", help = "for the answer; 0: no limit", change = true },
    { name = "idle_timeout", type = "duration", help = "for the next request; 0: read_timeout", change = true },
    { name = "max_header", type = "bytes", help = "of a request; 0: 1 MiB", change = true },
  },
  sample = [[
SERVER        ADDRESS         READ HEADER TIMEOUT  READ TIMEOUT  WRITE TIMEOUT  IDLE TIMEOUT  MAX HEADER
0xc000186000  127.0.0.1:8080                   5s            0s             0s            2m         0 B
1 server]],
  run = function()
    local list = http.listening()
    for _, one in ipairs(list) do
      local row, places = { server = ri.addr(one.server), address = one.address }, {}
      for column, field in pairs(fields) do row[column], places[column] = one.server[field], ri.ref(one.server, field) end
      ri.emit(row, places)
    end
    print(words.count(#list, 'server'))
  end,
}
