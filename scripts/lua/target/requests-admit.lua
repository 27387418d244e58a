-- Stops or resumes the processing of incoming requests, by the flag that the handler asks.

return {
  title = "stop or resume the processing of all incoming requests",
  category = "target",
  description = [[
Sets the flag that the request handler asks when a request comes in (Handler.admitting). Off, requests that arrive wait in the wait queue, and those in the
run queue are still served; on, the waiting ones are moved into the run queue within 20 ms.]],
  params = { { name = "admit", type = "bool", required = true, help = "false: requests that arrive wait" } },
  needs = { vars = { "main.store" }, fields = { "main.Store.handler", "main.Handler.admitting", "main.Handler.waitQueue", "main.requestQueue.length" } },
  columns = {
    { name = "admitting", help = "from now on" },
    { name = "was", help = "until now" },
    { name = "queued", type = "int", help = "requests in the run queue" },
    { name = "waiting", type = "int", help = "requests in the wait queue" },
  },
  sample = [[
ADMITTING  WAS   QUEUED  WAITING
false      true       0        0]],
  run = function(p)
    local handler = ri.var("main.store").handler
    if handler == nil then error("this role handles no requests: ask the gateway's process", 0) end
    ri.emit { admitting = p.admit, was = handler.admitting, queued = handler.runQueue.length, waiting = handler.waitQueue.len }
    ri.change(p.admit and "resume the processing of requests" or "stop the processing of requests", function(tx)
      tx:update("main.store.handler.admitting", p.admit)
    end)
  end,
}
