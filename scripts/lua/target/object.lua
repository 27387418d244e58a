-- Objects (main.Object), found by name or by fid.

local fid, btree = require("target/fid"), require("target/btree")
local objects = {}

-- find finds an object by its fid.
function objects.find(store, text)
  -- an object is in use as long as the tree leads from its name to its fid
  local function listed(object)
    local now = btree.lookup(store.tree, object.name)
    return now ~= nil and fid.text(now) == text
  end
  return fid.find(store.objects, text, "main.Object", listed) or error("no object has the fid " .. text, 0)
end

-- named finds an object by its name, as the program does.
function objects.named(store, name)
  local found = btree.lookup(store.tree, name) or error(("no object is called %q"):format(name), 0)
  return objects.find(store, fid.text(found))
end

return objects
