--- The check of `ri check` for pools of connections (database/sql) that have none left.

local locks = require("checks_locks")
local frames = require("frames")
local words = require("words")

local inside = "database/sql.(*DB).conn"

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
end

local function exhausted(l)
  if not l.second then return nil, "it needs two looks, of a running process" end
  if #l.pools == 0 and l.nopools then return nil, l.nopools end
  local out = {}
  for _, pool in ipairs(l.pools) do
    local stuck = true
    for _, id in ipairs(pool.ids) do stuck = stuck and l.still(id) end
    if stuck then
      local id = pool.ids[1]
      out[#out + 1] = {
        severity = "warning",
        what = ("sql.DB without a free connection: all %d are in use, %s for one, and none was given back in %s"):format(pool.most,
          words.count(#pool.ids, "goroutine") .. (#pool.ids == 1 and " waits" or " wait"), ri.duration(l.params.interval)),
        where = locks.where(l, id), goroutines = pool.ids, waiters = pool.ids,
        evidence = {
          ("sql.DB at %s: at most %d connections, none idle; goroutines %s wait"):format(ri.hex(pool.addr), pool.most, locks.list(pool.ids)),
          ("goroutine %s %s"):format(tostring(id), l.waited(id)),
          locks.created(l, id),
          "who has the connections is not recorded: rows that were not closed, transactions that were not ended, or queries that last",
        },
        next = "ri run sql shows the pools; defer rows.Close() and tx.Rollback(), or give queries a context with a deadline",
      }
    end
  end
  return out
end

return { { name = "sql-pool", run = exhausted }, first = first }
