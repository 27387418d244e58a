-- An etcd server as a whole.

local etcd = require("etcd/server")

-- What a quota of 0 means (DefaultQuotaBytes of the server's quota.go, 3.0 to 3.7).
local default_quota = 2 * 1024 * 1024 * 1024

-- quota is how large the database may grow; nil where less than nothing is set, which is no limit.
local function quota(server)
  local set = server.Cfg.QuotaBackendBytes
  if set == 0 then return default_quota end
  return set > 0 and set or nil
end

return {
  title = "an etcd member: raft, revisions, database, alarms",
  category = "etcd",
  description = [[
Shows what `etcdctl endpoint status` shows, and how far the store is. An applied index that stays behind the raft index is a member that can't keep up; a
member without a leader serves nothing. A compact_revision of -1 means that nothing was compacted yet; without a db_quota the database may grow without a
limit. Alarms and a lost leader are findings.]],
  needs = etcd.needs("cluster", "kv", "be", "lead", "appliedIndex", "alarmStore"),
  columns = {
    { name = "name", key = true },
    { name = "value", help = "ids in hexadecimal, as etcdctl prints them; sizes in bytes" },
  },
  sample = [[
NAME                VALUE
member_id           bdae9bbc11dd390d
leader              bdae9bbc11dd390d
raft_term           2
raft_index          8
raft_applied_index  8
revision            4]],
  run = function()
    local server = etcd.server()
    local function give(name, value)
      if value ~= nil then ri.emit { name = name, value = value } end
    end
    local cluster, store, backend = server.cluster, server.kv, server.be
    local own = cluster.members[cluster.localID]
    give("name", server.attributes.Name)
    give("member_id", etcd.id(cluster.localID))
    give("cluster_id", etcd.id(cluster.cid))
    local version = cluster.version
    if version then give("cluster_version", ("%d.%d.%d"):format(version.Major, version.Minor, version.Patch)) end
    give("leader", etcd.id(server.lead))
    give("is_leader", ri.cmp(server.lead, cluster.localID) == 0)
    give("is_learner", own and own.IsLearner)
    give("raft_term", server.term)
    give("raft_index", server.committedIndex)
    give("raft_applied_index", server.appliedIndex)
    give("revision", store.currentRev)
    give("compact_revision", store.compactMainRev)
    give("db_size", backend.size)
    give("db_size_in_use", backend.sizeInUse)
    give("db_quota", quota(server))
    give("members", #cluster.members)
    give("leases", #server.lessor.leaseMap)
    give("watchers", #store.synced.watchers + #store.unsynced.watchers)
    local findings, raised = etcd.findings(server)
    for _, finding in ipairs(findings) do ri.finding(finding) end
    give("alarms", table.concat(raised, ", "))
  end,
}
