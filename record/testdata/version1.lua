for i = 0, 2 do
  local c = ri.var 'main.customers'[i]
  ri.emit { name = c.Name, next = c.Next, tags = #c.Tags }
end
for _, g in ipairs(ri.stacks()) do print(#g.ids) end
ri.again(1)
print(ri.var 'main.customers'[1].Name == ri.var 'main.customers'[0].Next.Name)
