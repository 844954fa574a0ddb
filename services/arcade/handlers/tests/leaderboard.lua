local function add(t, player, points)
  t.store.register(player, player)
  t.store.add_score(player, points, nil)
end

local function names(t, tags)
  local found = {}
  for _, row in ipairs(t.send({ Action = "Leaderboard", Tags = tags }).output.Leaderboard) do
    found[row.Rank] = row.Name
  end
  return found
end

return {
  ["highest first, of equal scores the earlier"] = function(t)
    add(t, "ann", 70)
    add(t, "bob", 90)
    add(t, "cid", 70)
    add(t, "bob", 20)
    t.equal(names(t), { "bob", "ann", "cid" })
  end,

  ["without a limit ten rows are listed"] = function(t)
    for index = 1, 12 do add(t, "player" .. index, index) end
    t.equal(#names(t), 10, "rows")
  end,

  ["a limit shortens the list"] = function(t)
    for index = 1, 3 do add(t, "player" .. index, index) end
    t.equal(names(t, { Limit = 2 }), { "player3", "player2" })
  end,

  ["a limit out of range is refused"] = function(t)
    t.refused({ Action = "Leaderboard", Tags = { Limit = 0 } })
    t.refused({ Action = "Leaderboard", Tags = { Limit = 101 } })
  end,
}
