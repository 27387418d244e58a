-- An etcd server (go.etcd.io/etcd/server/v3; 3.5 to 3.7), as the instruments of this folder see it.
--
-- The way in: no package variable leads to a server. A *etcdserver.EtcdServer is the receiver of methods in the frames of several goroutines
-- (run, linearizableReadLoop), where ri.find1 finds it. From there on it is fields:
--
--   EtcdServer.cluster      *membership.RaftCluster: localID, members (a map by id)
--   EtcdServer.kv           a *mvcc.watchableStore: synced, unsynced and victims are the watchers; in it is a store:
--   store.kvindex           a *mvcc.treeIndex, whose tree is a B-tree of *keyIndex, sorted by key
--   EtcdServer.lessor       a *lease.lessor: leaseMap by id
--   EtcdServer.be           the backend: the sizes of the database
--
-- What changed: 3.6 moved package mvcc into storage/ and gave the fields of a Revision capital letters; counters became atomic; the B-tree is
-- google/btree in 3.5, its generic form in 3.6, a copy in k8s.io/utils in 3.7, with the same fields.

local etcd = {}

etcd.package = "go.etcd.io/etcd/server/v3/etcdserver.EtcdServer"

-- needs are the fields without which nothing of this pack works.
function etcd.needs(...)
  local fields = {}
  for i, field in ipairs { ... } do fields[i] = etcd.package .. "." .. field end
  return { types = { etcd.package }, fields = fields, runtime = { "goroutine", "channel" } }
end

-- server finds the server; the first, in a program that runs several.
function etcd.server() return (ri.find1(etcd.package)) end

-- id is a member's or lease's id as etcdctl prints it.
function etcd.id(n, width)
  local digits = ri.hex(n):sub(3)
  return ("0"):rep((width or 0) - #digits) .. digits
end

-- main is the main number of a revision.
function etcd.main(revision)
  if ri.has(revision, "Main") then return revision.Main end
  return revision.main
end

-- urls puts a list of them into one text.
function etcd.urls(slice)
  local list = {}
  for _, url in ri.pairs(slice) do list[#list + 1] = url end
  return table.concat(list, ",")
end

-- alarms has names for pb.AlarmType.
local alarms = { "NOSPACE", "CORRUPT" }

-- findings tells of a lost leader and of alarms, and gives the alarms' names too.
function etcd.findings(server)
  local out, raised = {}, {}
  if ri.cmp(server.lead, 0) == 0 then
    out[1] = {
      severity = "critical", what = "the member knows no leader: it serves no writes and no consistent reads",
      next = "are the other members up, and can they be reached? ri run etcd-members",
    }
  end
  for kind, members in ri.pairs(server.alarmStore.types) do
    for member in ri.pairs(members) do
      local text = (alarms[kind] or tostring(kind)) .. " on " .. etcd.id(member)
      raised[#raised + 1] = text
      out[#out + 1] = {
        severity = "critical", what = "alarm " .. text,
        next = alarms[kind] == "NOSPACE" and "compact and defragment, then etcdctl alarm disarm" or "see etcdctl alarm list",
      }
    end
  end
  table.sort(raised)
  return out, raised
end

return etcd
