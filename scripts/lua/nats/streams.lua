-- The streams of JetStream.

local nats, jetstream, words = require("nats/server"), require("nats/jetstream"), require("words")

return {
  title = "JetStream's streams, as /jsz?streams=true tells them",
  category = "nats",
  description = "Lists the streams that this server has a copy of: how much is in each, and from where to where.",
  params = {
    { name = "account", type = "string", default = "", help = "only those of this account" },
    { name = "stream", type = "string", default = "", help = "only those whose name contains this" },
  },
  needs = {
    runtime = { "goroutine" },
    types = { nats.package .. "Server" },
    fields = { nats.package .. "Server.js", nats.package .. "jetStream.accounts", nats.package .. "jsAccount.streams", nats.package .. "stream.store", nats.package .. "StreamState.Msgs" },
  },
  columns = {
    { name = "account", key = true },
    { name = "stream", help = "its name", key = true },
    { name = "storage", help = "FileStorage or MemoryStorage" },
    { name = "replicas", type = "int", help = "servers that have a copy" },
    { name = "leader", type = "bool", help = "this server leads it" },
    { name = "messages", type = "int" },
    { name = "bytes", type = "bytes" },
    { name = "first_seq", type = "int", help = "of the oldest message" },
    { name = "last_seq", type = "int", help = "of the newest" },
    { name = "last_time", type = "time", help = "when the newest came" },
    { name = "deleted", type = "int", help = "gaps between first and last" },
    { name = "subjects", type = "int", help = "that there are messages of" },
    { name = "consumers", type = "int" },
    { name = "created", type = "time" },
  },
  sample = [[
ACCOUNT  STREAM  STORAGE      REPLICAS  LEADER  MESSAGES    BYTES  FIRST SEQ  LAST SEQ  LAST TIME             DELETED  SUBJECTS  CONSUMERS  CREATED
$G       ORDERS  FileStorage         1    true       990  61 KiB           1      1000  2026-11-21T03:06:31Z       10         7          2  2026-11-21T03:06:30Z
1 stream, 990 messages]],
  run = function(p)
    local list = jetstream.streams(nats.server(), p.account)
    if not list then
      print("JetStream is off")
      return
    end
    local count, messages = 0, 0
    for _, s in ipairs(list) do
      if p.stream == "" or s.name:find(p.stream, 1, true) then
        local state, cfg = s.store.state, s.stream.cfg
        count, messages = count + 1, messages + state.Msgs
        ri.emit {
          account = s.account, stream = s.name, storage = nats.constant(cfg, "Storage"), replicas = cfg.Replicas, leader = jetstream.leader(s.stream), messages = state.Msgs,
          bytes = state.Bytes, first_seq = state.FirstSeq, last_seq = state.LastSeq, last_time = state.LastTime, deleted = jetstream.deleted(state),
          subjects = jetstream.subjects(s.store), consumers = #s.stream.consumers, created = s.stream.created,
        }
      end
    end
    print(words.count(count, "stream") .. ", " .. words.count(messages, "message"))
  end,
}
