-- Repairs one block of an object from parity: the exclusive or of the other component objects' blocks of its group.

local fid, objects, cobs = require("target/fid"), require("target/object"), require("target/cob")

return {
  title = "repair one block of an object from parity",
  category = "target",
  description = [[
Computes a block of an object from the same block of the object's other component objects, and puts it in its place on the device. Refused if one of the others
isn't intact, or if what comes out doesn't have the checksum that the device has noted for the block.]],
  params = {
    { name = "name", type = "string", required = true, help = "the object's name" },
    { name = "unit", type = "int", required = true, help = "which component object" },
    { name = "block", type = "int", required = true, help = "which of its blocks: the parity group" },
  },
  needs = {
    vars = { "main.store" },
    fields = { "main.Object.cobs", "main.Cob.extents", "main.Device.data", "main.Device.checksums", "main.Device.blockSize" },
  },
  columns = {
    { name = "name", help = "of the object", key = true },
    { name = "unit", type = "int", help = "of the component object", key = true },
    { name = "block", type = "int", help = "of the component object", key = true },
    { name = "device", help = "where it lies" },
    { name = "at", type = "int", help = "which block of the device" },
    { name = "checksum", help = "of the block, as the device has noted it" },
    { name = "was", help = "the checksum of what was there" },
  },
  sample = [[
NAME          UNIT  BLOCK  DEVICE  AT  CHECKSUM  WAS
images/a.png     1      0  disk-4  17  5bd1e995  00c2f3aa]],
  run = function(p)
    local object = objects.named(ri.var("main.store"), p.name)
    if p.unit < 0 or p.unit >= #object.cobs then error(("%s has the units 0 to %d"):format(p.name, #object.cobs - 1), 0) end
    local function read(cob)
      for e in cobs.extents(cob) do
        if p.block >= e.offset and p.block < e.offset + e.length then
          local d, n = cob.device, e.start + p.block - e.offset
          local bytes = ri.bytes(d.data, n * d.blockSize, (n + 1) * d.blockSize)
          return { device = d, at = n, bytes = bytes, sum = ri.crc32(bytes), noted = d.checksums[n] }
        end
      end
      error(("unit %d of %s has no block %d here"):format(cob.unit, p.name, p.block), 0)
    end
    local lost, others = nil, {}
    for unit, cob in ri.pairs(object.cobs) do
      local b = read(cob)
      if unit == p.unit then
        lost = b
      else
        if b.sum ~= b.noted then error(("unit %d of %s isn't intact in block %d either: there is nothing to repair it from"):format(unit, p.name, p.block), 0) end
        others[#others + 1] = b.bytes
      end
    end
    local block = ri.xor(unpack(others))
    if ri.crc32(block) ~= lost.noted then
      error(("what parity gives for block %d of unit %d has the checksum %08x, and the device has noted %08x: not repaired"):format(p.block, p.unit, ri.crc32(block), lost.noted), 0)
    end
    ri.emit { name = p.name, unit = p.unit, block = p.block, device = lost.device.name, at = lost.at, checksum = ("%08x"):format(lost.noted), was = ("%08x"):format(lost.sum) }
    if lost.sum == lost.noted then
      print("the block is intact: nothing to repair")
      return
    end
    local first, size = lost.at * lost.device.blockSize, lost.device.blockSize
    ri.change(("repair of block %d, unit %d, of %s"):format(p.block, p.unit, p.name), function(tx)
      tx:lock(ri.ref(lost.device, "mu"))
      for i = 0, size - 1 do
        local now, new = lost.bytes:byte(i + 1), block:byte(i + 1)
        if now ~= new then tx:update(ri.ref(lost.device.data, first + i), new) end
      end
    end)
  end,
}
