-- sync.Pools: what each keeps.

local runtime = require 'runtime'

-- chain counts the elements of a poolChain: dequeues, linked from the newest to the oldest; each keeps its head and tail in one word
-- (sync/poolqueue.go, Go 1.13 to 1.27).
local function chain(c)
  local n, element, links = 0, c.head, 0
  while element ~= nil do
    local headtail = element.headTail
    n = n + (ri.bit.rshift(headtail, 32) - ri.bit.band(headtail, 0xffffffff)) % 2 ^ 32
    element, links = element.prev, links + 1
    if links > 64 then error('a chain of a sync.Pool has no end') end
  end
  return n
end

-- locals counts what is in an array of sync.poolLocal, one for each P, and finds a value that tells the type.
local function locals(address, size, most)
  local private, shared, some, each = 0, 0, nil, {}
  if address == nil or size == 0 then return private, shared, nil, each end
  local step = ri.type 'sync.poolLocal'.size
  for i = 0, math.min(size, most) - 1 do
    local l = ri.at(address + i * step, 'sync.poolLocal')
    local n = chain(l.shared)
    local own, mine = l.private, 0
    if own ~= nil then
      private, mine = private + 1, 1
      some = some or own
    elseif some == nil and n > 0 then
      local d = l.shared.head
      local v = d.vals[(ri.bit.rshift(d.headTail, 32) - 1) % #d.vals] -- what was put in last
      if v.typ ~= nil then some = ri.at(ri.addr(v), 'interface {}') end
    end
    shared = shared + n
    each[#each + 1] = mine .. '+' .. n
  end
  return private, shared, some, each
end

return {
  title = "sync.Pools: what each keeps, and for how long still",
  category = "go",
  description = [[
Lists the sync.Pools that hold something. Each P keeps one value for itself (PRIVATE) and others for all (SHARED). A collection makes of
what is there the victim, and drops the victim of the one before: what nobody took for two cycles is gone. A pool has no name: NEW is the function that it makes values with.]],
  needs = {
    vars = { "sync.allPools" },
    fields = {
      "sync.Pool.local", "sync.Pool.localSize", "sync.Pool.victim", "sync.Pool.victimSize", "sync.Pool.New",
      "sync.poolLocal.private", "sync.poolLocal.shared", "sync.poolChain.head", "sync.poolDequeue.headTail",
      "sync.poolDequeue.vals"
    },
  },
  columns = {
    { name = "address", type = "address", help = "of the sync.Pool", key = true },
    { name = "type", help = "of a value in it" },
    { name = "private", type = "int", help = "values that Ps keep for themselves" },
    { name = "shared", type = "int", help = "values that any P may take" },
    { name = "victim", type = "int", help = "values that go at the next collection" },
    { name = "ps", help = "private and shared of each P", hidden = true },
    { name = "new", help = "the function that makes a value", cut = "left" },
  },
  sample = [[
ADDRESS       TYPE        PRIVATE  SHARED  VICTIM  NEW
0x1234560     *[512]uint8       1       3       0  main.init.func1
0xc000012340  *fmt.pp           2       0       1  fmt.init.func1]],
  run = function()
    local seen = {}
    for _, name in ipairs { 'sync.allPools', 'sync.oldPools' } do
      for _, pool in ri.pairs(runtime.var(name)) do
        if pool ~= nil and not seen[ri.addr(pool)] then
          seen[ri.addr(pool)] = true
          local most = 4096
          local private, shared, some, each = locals(pool['local'], pool.localSize, most)
          local vprivate, vshared, vsome = locals(pool.victim, pool.victimSize, most)
          some = some or vsome
          if private + shared + vprivate + vshared > 0 then
            ri.emit {
              address = ri.addr(pool), type = some ~= nil and (type(some) == 'userdata' and ri.typeof(some) or type(some)) or nil,
              private = private, shared = shared, victim = vprivate + vshared, ps = each,
              new = pool.New ~= nil and ri.func(pool.New).name or nil,
            }
          end
        end
      end
    end
  end,
}
