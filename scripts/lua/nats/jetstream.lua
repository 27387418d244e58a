-- The streams and consumers of a NATS server's JetStream.
--
-- A stream's messages are counted by its store (fileStore or memStore) in `state`; subjects by the store's tree of them, `psim` or `fss`. A
-- consumer keeps where it is in itself (dseq, sseq: the next of both), and in its store what was delivered and acknowledged. Where it has
-- a filter, sseq may be ahead of what was delivered: it skips what doesn't fit.

local nats = require("nats/server")
local jetstream = {}

-- streams lists {account =, name =, stream =, state =}, sorted; nil where JetStream is off.
function jetstream.streams(server, wanted_account)
  local js = server.js
  if js == nil then return nil end
  local list = {}
  for account, of in ri.pairs(js.accounts) do
    if wanted_account == "" or wanted_account == account then
      for name, stream in ri.pairs(of.streams) do list[#list + 1] = { account = account, name = name, stream = stream, store = stream.store } end
    end
  end
  table.sort(list, function(a, b)
    if a.account ~= b.account then return a.account < b.account end
    return a.name < b.name
  end)
  return list
end

-- subjects counts the subjects that a store has messages of: the store's tree of them or, before 2.10, its map.
function jetstream.subjects(store)
  local tree = nats.value(store, "psim") or nats.value(store, "fss")
  if tree == nil then return 0 end
  if ri.typeof(tree):sub(1, 4) == "map[" then return #tree end
  return tree.size
end

-- deleted counts the gaps between the first message and the last.
function jetstream.deleted(state)
  if state.LastSeq <= state.FirstSeq then return 0 end
  return math.max(0, state.LastSeq - state.FirstSeq + 1 - state.Msgs)
end

-- leader says whether this server leads a stream or a consumer: it does if nobody else has a copy.
function jetstream.leader(of)
  local leader = nats.value(of, "leader")
  if type(leader) == "boolean" then return leader end
  local node = of.node
  if node == nil then return true end
  return ri.name(node, "state"):match("[^.]*$") == "Leader"
end

-- waiting counts the pull requests that a consumer hasn't answered.
function jetstream.waiting(consumer)
  local queue = consumer.waiting
  return queue and queue.n or 0
end

-- progress gives what was delivered and acknowledged: the consumer's own count and the stream's.
function jetstream.progress(consumer)
  local store = consumer.store
  local state = store and store.state
  local p = {
    delivered = math.max(consumer.dseq, 1) - 1, delivered_stream = math.max(consumer.sseq, 1) - 1, acked = consumer.adflr, acked_stream = consumer.asflr,
  }
  if state and state.Delivered.Consumer > 0 then
    p.delivered, p.delivered_stream = state.Delivered.Consumer, state.Delivered.Stream
    p.acked, p.acked_stream = state.AckFloor.Consumer, state.AckFloor.Stream
  end
  return p
end

return jetstream
