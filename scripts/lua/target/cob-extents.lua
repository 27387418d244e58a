-- The blocks of a device that hold a component object.

local fid, cobs, words = require("target/fid"), require("target/cob"), require("words")

return {
  title = "the device blocks of a component object",
  category = "target",
  description = [[
Lists the extents of a component object (cob): which blocks of its device hold which of its own. With by=block each block stands
for itself, with the checksum that the device has noted for it.]],
  params = {
    { name = "fid", type = "string", required = true, help = "of the component object, <container:key>" },
    { name = "by", type = "enum", values = { "extent", "block" }, default = "extent", help = "a row for each" },
  },
  needs = {
    vars = { "main.store" },
    fields = { "main.Cob.extents", "main.Extent.offset", "main.Extent.start", "main.Extent.length", "main.Extent.next", "main.Device.checksums" },
  },
  columns = {
    { name = "device", help = "the device", key = true },
    { name = "offset", type = "int", help = "first block, in the component object" },
    { name = "start", type = "int", help = "first block, on the device", key = true },
    { name = "length", type = "int", help = "blocks" },
    { name = "checksum", help = "of the block's contents, by=block" },
  },
  sample = [[
DEVICE  OFFSET  START  LENGTH  CHECKSUM
disk-2       0    120       4  -
disk-2       4    131       2  -
6 blocks in 2 extents of <4300000000000001:2a>]],
  run = function(p)
    local cob = cobs.find(ri.var("main.store"), p.fid)
    local device, blocks, extents = cob.device, 0, 0
    for e in cobs.extents(cob) do
      extents, blocks = extents + 1, blocks + e.length
      if p.by == "extent" then
        ri.emit { device = device.name, offset = e.offset, start = e.start, length = e.length }
      else
        for i = 0, e.length - 1 do
          ri.emit {
            device = device.name, offset = e.offset + i, start = e.start + i, length = 1,
            checksum = ("%08x"):format(device.checksums[e.start + i]),
          }
        end
      end
    end
    print(("%s in %s of %s"):format(words.count(blocks, "block"), words.count(extents, "extent"), fid.text(cob.fid)))
  end,
}
