--- The check of `ri check` for pools of connections (database/sql) that have none left.

local locks = require("checks_locks")
local frames = require("frames")
local words = require("words")

local inside, transaction = "database/sql.(*DB).conn", "database/sql.(*Tx).awaitDone"

-- lost finds the transactions that nobody can end any more: by pool, the goroutines that wait for their end.
local function lost(l)
  local out = {}
  for _, g in ipairs(l.blocked) do
    local stack = l.state[g.ids[1]]
    for i, f in ipairs(stack and stack.frames or {}) do
      for _, id in ipairs(f.func == transaction and g.ids or {}) do
        local tx = frames.variable(ri.goroutine(id), i, "tx")
        if tx ~= nil and tx.db ~= nil then
          local pool = ri.addr(tx.db)
          out[pool] = out[pool] or {}
          table.insert(out[pool], id)
        end
      end
    end
  end
  return out
end

--- Notes the pools whose connections are all in use, and who waits for one, in the first look.
-- @param l table, the look
local function first(l)
  l.pools = {}
  local waiting = false
  for _, g in ipairs(l.groups) do
    for _, f in ipairs(g.frames) do waiting = waiting or g.status == "waiting" and f.func == inside end
  end
  if not waiting then return end
  local known = {}
  for g, i in frames.of [[^database/sql\.\(\*DB\)\.conn$]] do
    local db = g.status == "waiting" and frames.variable(g, i, "db") or nil
    if g.status == "waiting" and db == nil then l.nopools = "which pool goroutines wait for isn't known here: debug information would tell, --symbols EXE" end
    if db ~= nil and db.maxOpen > 0 and db.numOpen >= db.maxOpen and #db.freeConn == 0 then
      local pool = known[ri.addr(db)]
      if not pool then
        pool = { addr = ri.addr(db), most = db.maxOpen, ids = {}, count = db.waitCount }
        known[pool.addr], l.pools[#l.pools + 1] = pool, pool
      end
      pool.ids[#pool.ids + 1] = g.id
    end
  end
  if #l.pools == 0 then return end
  for addr, ids in pairs(lost(l)) do
    if known[addr] then known[addr].lost = ids end
  end
end

-- evidence tells of a pool, and takes its goroutines out of what other checks tell of.
local function evidence(l, pool)
  local id, certain = pool.ids[1], true
  local out = {
    ("sql.DB at %s: at most %d connections, none idle; goroutines %s wait"):format(ri.hex(pool.addr), pool.most, locks.list(pool.ids)),
    ("goroutine %s %s"):format(tostring(id), l.waited(id)),
    locks.created(l, id),
  }
  for _, waiter in ipairs(pool.ids) do
    certain = certain and l.never(waiter)
    l.left[waiter] = l.never(waiter) or l.left[waiter]
  end
  for _, done in ipairs(pool.lost or {}) do l.left[done] = true end
  if pool.lost then
    out[#out + 1] = ("%s that nobody can commit or roll back any more: nothing that can still run leads there; goroutines %s wait for the end"):format(
      words.count(#pool.lost, "transaction"), locks.list(pool.lost))
  end
  if certain then
    out[#out + 1] = "certain: nothing that can still run leads to what they wait for"
  elseif not pool.lost then
    out[#out + 1] = "who has the connections is not recorded: rows that were not closed, transactions that were not ended, or queries that last"
  end
  return out, certain
end

local function exhausted(l)
  if not l.second then return nil, "it needs two looks, of a running process" end
  if #l.pools == 0 and l.nopools then return nil, l.nopools end
  locks.share(l)
  local out = {}
  for _, pool in ipairs(l.pools) do
    local stuck = true
    for _, id in ipairs(pool.ids) do stuck = stuck and l.still(id) end
    if stuck then
      local id = pool.ids[1]
      local told, certain = evidence(l, pool)
      out[#out + 1] = {
        severity = certain and "critical" or "warning",
        what = ("sql.DB without a free connection: all %d are in use, %s for one, and none was given back in %s"):format(pool.most,
          words.count(#pool.ids, "goroutine") .. (#pool.ids == 1 and " waits" or " wait"), ri.duration(l.params.interval)),
        where = locks.where(l, id), goroutines = pool.ids, waiters = pool.ids,
        evidence = told,
        next = "ri run sql shows the pools; defer rows.Close() and tx.Rollback(), or give queries a context with a deadline",
      }
    end
  end
  return out
end

return { { name = "sql-pool", run = exhausted }, first = first }
