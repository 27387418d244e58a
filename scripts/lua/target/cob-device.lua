-- From a component object to its service and device.

local cobs = require("target/cob")

return {
  title = "the service and device of a component object",
  category = "target",
  description = "Shows on which device of which service a component object (cob) is, and the service's state. Where another process has its blocks, STORE is that one's address.",
  params = { { name = "fid", type = "string", required = true, help = "of the component object, <container:key>" } },
  needs = {
    vars = { "main.store" },
    fields = { "main.Store.cobs", "main.Cob.service", "main.Cob.device", "main.Service.state", "main.Device.name" },
  },
  columns = {
    { name = "fid", help = "of the component object", key = true },
    { name = "object", help = "fid of the object that it is part of" },
    { name = "unit", type = "int" }, { name = "parity", type = "bool" },
    { name = "service", help = "by name" },
    { name = "state", help = "of the service" },
    { name = "device", help = "by name" },
    { name = "blocks", type = "int", help = "size in blocks" },
  },
  sample = [[
FID                    OBJECT                 UNIT  PARITY  SERVICE  STATE          DEVICE  BLOCKS
<4300000000000001:2a>  <7000000000000001:2a>     1  true    ios-1    ServiceOnline  disk-2       1]],
  run = function(p)
    local store = ri.var("main.store")
    local cob = cobs.find(store, p.fid)
    local row = cobs.row(store, cob)
    row.state = ri.name(cob.service, "state"):match("[^.]*$")
    row.extents = nil -- cob-extents lists them
    ri.emit(row)
  end,
}
