-- From the name of an object to its fid, by the b-tree, as the program looks it up.

local fid, objects = require("target/fid"), require("target/object")

return {
  title = "the fid of an object, by name",
  category = "target",
  description = "Looks a name up in the b-tree of names, and shows the object's fid, size and the fids of its component objects.",
  params = { { name = "name", type = "string", required = true, help = "the object's name" } },
  needs = {
    vars = { "main.store" },
    fields = { "main.Tree.root", "main.Node.keys", "main.Node.fids", "main.Object.fid", "main.Object.size", "main.Object.cobs", "main.Cob.fid" },
  },
  columns = {
    { name = "name", key = true },
    { name = "fid", help = "<container:key>" },
    { name = "size", type = "int", help = "in bytes" },
    { name = "cobs", help = "fids of its component objects, by unit" },
  },
  sample = [[
NAME          FID                    SIZE  COBS
images/a.png  <7000000000000001:2a>   171  <4300000000000000:2a>
                                           <4300000000000001:2a>]],
  run = function(p)
    local object, cobs = objects.named(ri.var("main.store"), p.name), {}
    for _, cob in ri.pairs(object.cobs) do cobs[#cobs + 1] = fid.text(cob.fid) end
    ri.emit { name = object.name, fid = fid.text(object.fid), size = object.size, cobs = cobs }
  end,
}
