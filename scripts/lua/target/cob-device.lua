-- From a component object to its service and device.

local cobs = require("target/cob")

return {
  title = "the service and device of a component object",
  category = "target",
  description = "Shows on which device of which service a component object (cob) is, and the service's state.",
  params = { { name = "fid", type = "string", required = true, help = "of the component object, <container:key>" } },
  needs = {
    vars = { "main.store" },
    fields = { "main.Store.cobs", "main.Cob.service", "main.Cob.device", "main.Service.state", "main.Device.name" },
  },
  columns = {
    { name = "fid", help = "of the component object" },
    { name = "object", help = "fid of the object that it is part of" },
    { name = "unit", type = "int" }, { name = "parity", type = "bool" },
    { name = "service", type = "int" }, { name = "service_name" }, { name = "state", help = "of the service" },
    { name = "device", type = "int" }, { name = "device_name" },
    { name = "blocks", type = "int", help = "size in blocks" },
    { name = "extents", type = "int" },
    { name = "store", help = "where its blocks are; empty: in this process" },
  },
  sample = [[
FID                    OBJECT                 UNIT  PARITY  SERVICE  SERVICE NAME  STATE          DEVICE  DEVICE NAME  BLOCKS  EXTENTS  STORE
<4300000000000001:2a>  <7000000000000001:2a>     1  true          1  ios-1         ServiceOnline       2  disk-2            1        1]],
  run = function(p)
    local store = ri.var("main.store")
    local cob = cobs.find(store, p.fid)
    local row = cobs.row(store, cob)
    row.state = ri.name(cob.service, "state"):match("[^.]*$")
    ri.emit(row)
  end,
}
