-- The component objects of an object.

local cobs, objects = require("target/cob"), require("target/object")

local function find(store, p)
  if p.fid then return objects.find(store, p.fid) end
  return objects.named(store, p.name)
end

return {
  title = "the component objects of an object",
  category = "target",
  description = "Lists the component objects (cobs) of an object, by name or by fid: its units with parity, and where each is. Where another process has its blocks, STORE is that one's address.",
  params = {
    { name = "name", type = "string", help = "the object's name" },
    { name = "fid", type = "string", help = "or its fid, <container:key>" },
  },
  one_of = { "name", "fid" },
  needs = {
    vars = { "main.store" },
    fields = { "main.Object.cobs", "main.Cob.fid", "main.Cob.unit", "main.Cob.service", "main.Cob.device", "main.Cob.extents" },
  },
  columns = {
    { name = "fid", help = "of the component object", key = true },
    { name = "unit", type = "int", help = "in the parity group" },
    { name = "parity", type = "bool", help = "the unit that holds parity" },
    { name = "service", help = "by name" },
    { name = "device", help = "by name" },
    { name = "blocks", type = "int", help = "size in blocks" },
    { name = "extents", type = "int", help = "runs of blocks on the device" },
  },
  sample = [[
FID                    UNIT  PARITY  SERVICE  DEVICE  BLOCKS  EXTENTS
<4300000000000000:2a>     0  false   ios-0    disk-0       1        1
<4300000000000001:2a>     1  true    ios-1    disk-2       1        1]],
  run = function(p)
    local store = ri.var("main.store")
    for _, cob in ri.pairs(find(store, p).cobs) do
      local row = cobs.row(store, cob)
      row.object = nil
      ri.emit(row)
    end
  end,
}
