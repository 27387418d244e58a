-- What is shown of a component object (main.Cob).

local fid, objects = require("target/fid"), require("target/object")
local cobs = {}

-- extents is an iterator over a component object's extents, bounded: a list that doesn't end is broken.
function cobs.extents(cob)
  local extent, count = cob.extents, 0
  return function()
    local this = extent
    if this == nil then return nil end
    count = count + 1
    if count > 1e6 then error("the list of extents doesn't end", 0) end
    extent = this.next
    return this
  end
end

-- row is what the admin endpoint tells of it too.
function cobs.row(store, cob)
  local extents = 0
  for _ in cobs.extents(cob) do extents = extents + 1 end
  return {
    fid = fid.text(cob.fid), object = fid.text(cob.object), unit = cob.unit, parity = cob.unit == store.units,
    service = cob.service.name, device = cob.device.name, blocks = cob.blocks, extents = extents,
    store = cob.service.address ~= "" and cob.service.address or nil, -- of the process that has its blocks
  }
end

-- find finds one by its fid.
function cobs.find(store, text)
  -- a component object is in use as long as its object has it
  local function listed(cob)
    if #store.objects == 0 then return false end -- a store knows of no objects: search again
    local object = objects.find(store, fid.text(cob.object))
    return ri.addr(object.cobs[cob.unit]) == ri.addr(cob)
  end
  return fid.find(store.cobs, text, "main.Cob", listed) or error("no component object has the fid " .. text, 0)
end

return cobs
