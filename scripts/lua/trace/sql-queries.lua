-- Statements that database/sql sends, as they are answered.

-- without leaves out the values that are written in a statement. A text that is cut is one to its end; where a backslash stands before a quote, only the
-- database knows where the text ends, so nothing of the rest is shown.
local function without(statement)
  if not statement then return nil end
  local text, more = statement:match("^(.*)( /%* %.%.%. %d+ more bytes %*/)$")
  text = text or statement
  if text:find("\\'", 1, true) then text = text:sub(1, text:find("'", 1, true)) end
  text = text:gsub("'[^']*'?", "\1"):gsub("\1+", "?"):gsub("([^%w_$?:@\"`])%d[%w.]*", "%1?")
  return text .. (more or "")
end

return {
  title = "database/sql: statements as they are answered",
  category = "trace",
  description = [[
Traces the statements that the program sends through database/sql, when the driver has answered: the statement without its values (its first 128 bytes;
texts in single quotes and numbers are shown as ?, those in double quotes, which are names in standard SQL, stay), how long it took, and the error. A query's time
is that until its rows can be read. Statements that were prepared are shown as such. The kernel keeps a few breakpoints in the program meanwhile.]],
  needs = { funcs = { "database/sql.(*DB).queryDC" } },
  params = {
    { name = "over", type = "duration", default = "0s", min = 0, help = "only statements that took longer" },
    { name = "limit", type = "int", default = 100, min = 1, help = "end after so many" },
    { name = "time", type = "duration", default = "60s", min = "1s", help = "end after so long" },
  },
  probes = {
    { name = "query", func = "database/sql.(*DB).queryDC", returns = true, when = "duration >= ${over}", show = { query = "query", values = "len(args)", err = "r1" } },
    { name = "exec", func = "database/sql.(*DB).execDC", returns = true, when = "duration >= ${over}", optional = true, show = { query = "query", values = "len(args)", err = "err" } },
    { name = "query", func = "database/sql.(*Stmt).QueryContext", returns = true, when = "duration >= ${over}", optional = true, show = { query = "s.query", values = "len(args)", err = "r1" } },
    { name = "exec", func = "database/sql.(*Stmt).ExecContext", returns = true, when = "duration >= ${over}", optional = true, show = { query = "s.query", values = "len(args)", err = "r1" } },
  },
  columns = {
    { name = "time", type = "time" },
    { name = "goroutine", type = "int" },
    { name = "kind", help = "query, exec" },
    { name = "values", type = "int", help = "how many were given" },
    { name = "duration", type = "duration" },
    { name = "statement" },
    { name = "error", optional = true },
  },
  sample = [[
TIME                      GOROUTINE  KIND   VALUES  DURATION  STATEMENT                          ERROR
2026-11-29T02:51:59.044Z         51  query       1    2.14ms  SELECT * FROM orders WHERE id = ?  -
2026-11-29T02:51:59.101Z         52  exec        2    1.02ms  UPDATE orders SET n = ? WHERE ...  &pq.Error{...}]],
  run = function(p)
    for hit in ri.hits { limit = p.limit, seconds = p.time / 1e9 } do
      ri.emit {
        time = hit.time, goroutine = hit.goroutine, kind = hit.probe, values = hit.values, duration = hit.duration or hit.so_far, statement = without(hit.query),
        error = hit.err or hit.ended,
      }
    end
  end,
}
