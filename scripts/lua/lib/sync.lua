--- sync: Map, Mutex, RWMutex, WaitGroup, Once.
--
-- The layouts changed over the releases, so code here asks which fields there are and never for a version:
--
-- * sync.Map since Go 1.24 is a hash trie (`m`, an internal/sync.HashTrieMap); before that a read-only map
--   and a dirty one (`read`, `dirty`). GOEXPERIMENT=nosynchashtriemap still builds the latter.
-- * Mutex since Go 1.24 wraps an internal/sync.Mutex (`mu`); before that it has `state` and `sema` itself.
-- * WaitGroup since Go 1.20 has one atomic word, `state`; since Go 1.25 its bit 31 marks a synctest bubble.
-- * Once has an atomic `done`: a uint32, since Go 1.22 an atomic.Uint32, since Go 1.25 an atomic.Bool.

local sync = {}

local function has(v, field)
  local t = ri.type(v)
  if t.kind == 'ptr' then t = ri.type(t.elem) end
  for _, f in ipairs(t.fields or {}) do
    if f.name == field then return true end
  end
  return false
end

-- known gives ri.null for a nil key, which would end the loop.
local function known(key)
  if key == nil then return ri.null end
  return key
end

--- The hash trie: inner nodes have 16 children each; a leaf is an entry with a chain of those whose hashes collide.
local maxdepth = 64 -- the hash has 64 bits, 4 are used a level

local function trie(m)
  local root = m.root
  if root == nil then return function() end end
  local inner = ri.typeof(root):gsub('^%*', '')
  local leaf = inner:gsub('%.indirect%[', '.entry[', 1)
  -- A stack of positions, innermost last; chain is the rest of a leaf's entries.
  local nodes, positions, top = { root }, { 0 }, 1
  local chain, chained
  return function()
    if chain ~= nil then
      local e = chain
      chain = e.overflow
      chained = chained + 1
      if chained > 10000 then error('the map is broken: the chain at ' .. ri.hex(ri.addr(e)) .. ' has no end', 2) end
      return known(e.key), e.value
    end
    while top > 0 do
      local node, i = nodes[top], positions[top]
      if i == 16 then
        nodes[top], top = nil, top - 1
      else
        positions[top] = i + 1
        local child = node.children[i]
        if child ~= nil then
          if child.isEntry then
            local e = ri.at(ri.addr(child), leaf)
            chain, chained = e.overflow, 0
            return known(e.key), e.value
          end
          if top == maxdepth then error('the map is broken: the trie is deeper than its hash', 2) end
          top = top + 1
          nodes[top], positions[top] = ri.at(ri.addr(child), inner), 0
        end
      end
    end
  end
end

--- The two maps: entries in `dirty` are all that there are, if `read` is amended by it.
local function two(m)
  local read, source = m.read, nil
  if read ~= nil then source = read.m end
  if read ~= nil and read.amended then source = m.dirty end
  local expunged = ri.var('sync.expunged')
  if type(expunged) ~= 'number' and expunged ~= nil then expunged = ri.addr(expunged) end
  local next_entry, state, key = ri.pairs(source)
  return function()
    while true do
      local entry
      key, entry = next_entry(state, key)
      if key == nil then return nil end
      local p = entry ~= nil and entry.p or nil
      if type(p) == 'number' then p = p ~= expunged and ri.at(p, 'interface {}') or nil
      elseif p ~= nil then p = ri.addr(p) ~= expunged and ri.deref(p) or nil end
      if p ~= nil then return key, p end
    end
  end
end

--- Iterates over a sync.Map: `for key, value in sync.map(m)`. ri.pairs does the same.
-- @param m sync.Map or *sync.Map
-- @return iterator of the dynamic key (ri.null where it is nil), the dynamic value
function sync.map(m)
  if has(m, 'm') then return trie(m.m) end
  if has(m, 'root') then return trie(m) end
  return two(m)
end

--- Says whether a sync.Map can be gone through.
-- @param m sync.Map or *sync.Map
-- @return boolean, int|string: true and how many entries, or false and where it broke
function sync.validate_map(m)
  local n = 0
  local whole, problem = pcall(function()
    for _ in sync.map(m) do n = n + 1 end
  end)
  if whole then return true, n end
  return false, problem
end

--- State of a mutex. Go records no holder.
-- @param m sync.Mutex or *sync.Mutex
-- @return table: locked, woken, starving (booleans), waiters (int)
function sync.mutex(m)
  if has(m, 'mu') then m = m.mu end
  local state = m.state
  return {
    locked = state % 2 == 1, woken = math.floor(state / 2) % 2 == 1,
    starving = math.floor(state / 4) % 2 == 1, waiters = math.floor(state / 8),
  }
end

--- State of a read-write mutex.
-- @param m sync.RWMutex or *sync.RWMutex
-- @return table: locked (by a writer), writer_waits (booleans), readers, leaving (ints: readers that a waiting writer waits for)
function sync.rwmutex(m)
  local writers = sync.mutex(m.w)
  local readers, pending = m.readerCount, false
  if readers < 0 then readers, pending = readers + 2 ^ 30, true end
  return {
    locked = pending and m.readerWait == 0, writer_waits = pending and m.readerWait > 0,
    readers = readers, leaving = m.readerWait, writers_queued = writers.waiters,
  }
end

--- State of a wait group.
-- @param g sync.WaitGroup or *sync.WaitGroup
-- @return table: count, waiters (ints)
function sync.waitgroup(g)
  local state = g.state
  local low = ri.bit.band(state, 0x7fffffff)
  local count = ri.bit.rshift(state, 32)
  if count >= 2 ^ 31 then count = count - 2 ^ 32 end
  return { count = count, waiters = low }
end

--- Whether a Once has been done.
-- @param o sync.Once or *sync.Once
-- @return boolean
function sync.once(o)
  local done = o.done
  return done == true or done == 1
end

sync.walkers = { ['sync.Map'] = sync.map, ['internal/sync.HashTrieMap'] = sync.map }

return sync
