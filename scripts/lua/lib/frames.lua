--- Goroutines by the functions on their stacks.

local frames = {}

--- Iterates over the goroutines that have a function on their stack: `for g, i in frames.of(pattern)`, where frame i is the innermost such one.
-- Of more than a thousand goroutines with the same stack, the first thousand.
-- @param pattern string, a part of the function's name or a regular expression
-- @return iterator of goroutine, int, string: the frame's function
function frames.of(pattern)
  local groups, at, ids, k, index, name = ri.stacks { depth = 256 }, 0, {}, 0, 0, nil
  return function()
    while true do
      k = k + 1
      if ids[k] then
        local g = ri.goroutine(ids[k])
        if g then return g, index, name end
      else
        at = at + 1
        local group = groups[at]
        if not group then return nil end
        ids, k = {}, 0
        for i, f in ipairs(group.frames) do
          if ri.match(f.func, pattern) then
            ids, index, name = group.ids, i, f.func
            break
          end
        end
      end
    end
  end
end

--- A local variable or argument of a frame; nil where optimised code no longer holds it.
-- @param g goroutine
-- @param i int, the frame
-- @param name string
-- @return any
function frames.variable(g, i, name)
  local found, vars = pcall(g.locals, g, i)
  if not found then return nil end
  return vars[name]
end

--- The arguments of a frame, in their order, as goroutine:locals lists them; none where nothing is known of it.
-- @param g goroutine
-- @param i int, the frame
-- @return table, a list
function frames.arguments(g, i)
  local ok, _, _, list = pcall(g.locals, g, i)
  local out = {}
  if ok then
    for _, v in ipairs(list) do
      if v.argument and not v.result then out[#out + 1] = v end
    end
  end
  return out
end

return frames
