-- The request handler as a whole.

return {
  title = "the request handler: does it admit requests, how many has it",
  category = "target",
  description = [[
Shows whether the handler admits requests (Handler.admitting). As a table of OVSDB (ri tables, ri serve) admitting can be changed, as requests-stop and
requests-resume do.]],
  needs = { vars = { "main.store" }, fields = { "main.Store.handler", "main.Handler.admitting", "main.Handler.waitQueue", "main.requestQueue.length" } },
  columns = {
    { name = "handler", help = "the only one: requests", key = true },
    { name = "admitting", type = "bool", help = "false: requests that arrive wait", change = true },
    { name = "queued", type = "int", help = "requests in the run queue" },
    { name = "waiting", type = "int", help = "requests in the wait queue" },
  },
  sample = [[
HANDLER   ADMITTING  QUEUED  WAITING
requests  true            0        0]],
  run = function()
    local handler = ri.var("main.store").handler
    if handler == nil then error("this role handles no requests: ask the gateway's process", 0) end
    ri.emit(
      { handler = "requests", admitting = handler.admitting, queued = handler.runQueue.length, waiting = handler.waitQueue.len },
      { admitting = ri.ref(handler, "admitting") }
    )
  end,
}
