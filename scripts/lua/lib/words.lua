-- Words for people.

local words = {}

-- count says how many: "1 stack", "4 stacks", "2 entries".
function words.count(n, word)
  if n == 1 then return "1 " .. word end
  return tostring(n) .. " " .. (word:find("[^aeiou]y$") and word:sub(1, -2) .. "ies" or word .. "s")
end

-- shown adds what a limit left out.
function words.shown(n, word, limit)
  return words.count(n, word) .. (n > limit and (", the first %d shown (limit=)"):format(limit) or "")
end

return words
