-- The members of an etcd cluster, as one of them knows them.

local etcd, words = require("etcd/server"), require("words")

return {
  title = "the members of an etcd cluster, as this one knows them",
  category = "etcd",
  description = "Lists the members as `etcdctl member list` does, with who leads and which is this one.",
  needs = etcd.needs("cluster", "lead"),
  columns = {
    { name = "id", help = "as etcdctl prints it", key = true },
    { name = "name", help = "empty: it hasn't started yet" },
    { name = "peer_urls", help = "where other members reach it" },
    { name = "client_urls", help = "where clients reach it" },
    { name = "learner", type = "bool", help = "it has no vote" },
    { name = "leader", type = "bool" },
    { name = "self", type = "bool", help = "the one looked at" },
  },
  sample = [[
ID                NAME     PEER URLS              CLIENT URLS            LEARNER  LEADER  SELF
bdae9bbc11dd390d  default  http://10.0.0.1:2380   http://10.0.0.1:2379     false    true  true
1 member]],
  run = function()
    local server, list = etcd.server(), {}
    local cluster, leader = server.cluster, server.lead
    for id, member in ri.pairs(cluster.members) do list[#list + 1] = { id = id, text = etcd.id(id), member = member } end
    table.sort(list, function(a, b) return a.text < b.text end)
    for _, found in ipairs(list) do
      local member = found.member
      ri.emit {
        id = found.text, name = member.Name, peer_urls = etcd.urls(member.PeerURLs), client_urls = etcd.urls(member.ClientURLs), learner = member.IsLearner,
        leader = ri.cmp(found.id, leader) == 0, self = ri.cmp(found.id, cluster.localID) == 0,
      }
    end
    print(words.count(#list, "member"))
  end,
}
