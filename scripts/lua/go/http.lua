-- net/http servers: connections and requests.

local http = require 'http_server'
local words = require 'words'

return {
  title = "net/http: connections, requests in flight",
  category = "go",
  description = [[
Lists the requests that the program's net/http servers are serving, those that are served for longest first; with idle=yes the connections without one too. AGE is
the time since the request came (of a connection: since it is in that state); the program notes whole seconds. HTTP/2 notes no times: the age of its streams
isn't recorded. The path is shown without its query, which may hold secrets, unless query=yes.]],
  needs = { types = { "net/http.Server", "net/http.conn" }, runtime = { "goroutine", "poller" } },
  params = {
    { name = "idle", type = "bool", default = false, help = "connections without a request too" },
    { name = "path", type = "string", default = "", help = "only requests with this in their path: a part of it, or a regular expression" },
    { name = "older", type = "duration", default = "0s", min = 0, help = "only those known to be at least so old" },
    { name = "query", type = "bool", default = false, help = "the whole URI, query included" },
  },
  columns = {
    { name = "server", help = "the address that the connection came to", cut = "left", key = true },
    { name = "remote", help = "the peer's address", cut = "left", key = true },
    { name = "proto", help = "HTTP/1.1, HTTP/2.0" },
    { name = "state", help = "new, active, idle, hijacked; of a stream: stream" },
    { name = "age", type = "duration", help = "since it is in that state" },
    { name = "goroutine", type = "int", help = "that serves it", key = true },
    { name = "method", help = "of the request" },
    { name = "status", type = "int", help = "already answered, if it is", hidden = true },
    { name = "written", type = "int", help = "bytes of the answer's body so far", hidden = true },
    { name = "stream", type = "int", help = "number of the HTTP/2 stream", hidden = true, key = true },
    { name = "path", help = "of the request", cut = "left" },
  },
  sample = [[
SERVER          REMOTE           PROTO     STATE   AGE  GOROUTINE  METHOD  PATH
127.0.0.1:8080  127.0.0.1:51344  HTTP/1.1  active  12s         44  GET     /slow
127.0.0.1:8443  127.0.0.1:51350  HTTP/2.0  stream    -         83  GET     /second
2 servers, 3 connections (1 active, 2 idle), 1 HTTP/2 stream]],
  run = function(p)
    local rows, seen = http.requests { idle = p.idle, query = p.query }
    for _, r in ipairs(rows) do
      if ri.match(r.path or '', p.path) and (r.age or 0) * 1e9 >= p.older then
        r.age = r.age and math.floor(r.age) * 1000000000 or nil
        ri.emit(r)
      end
    end
    local all, parts = 0, {}
    for _, word in ipairs(seen.states) do
      all = all + seen.count[word]
      parts[#parts + 1] = seen.count[word] .. ' ' .. word
    end
    print(words.count(seen.servers, 'server') .. ', ' .. words.count(all, 'connection') .. (#parts > 0 and ' (' .. table.concat(parts, ', ') .. ')' or '') ..
      ', ' .. words.count(seen.streams, 'HTTP/2 stream'))
    if seen.unread > 0 then ri.leaveout(words.count(seen.unread, 'connection') .. ' can\'t be read: ' .. seen.why) end
  end,
}
