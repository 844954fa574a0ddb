return {
  ["a new player, then a new name"] = function(t)
    local first = t.send({ Action = "Register", From = "ann", Data = "Ann" })
    t.equal(first.output, { Player = "ann", Name = "Ann", New = true })
    local second = t.send({ Action = "Register", From = "ann", Data = "Anna" })
    t.equal(second.output, { Player = "ann", Name = "Anna", New = false })
    t.equal(t.store.player_name("ann"), "Anna")
  end,

  ["a name is needed, and not a long one"] = function(t)
    t.refused({ Action = "Register", From = "ann" })
    t.refused({ Action = "Register", Data = "Ann" })
    local long = {}
    for index = 1, 65 do long[index] = "ä" end
    t.refused({ Action = "Register", From = "ann", Data = table.concat(long) })
    t.send({ Action = "Register", From = "ann", Data = table.concat(long, "", 1, 64) })
  end,

  ["the game counts its players"] = function(t)
    t.send({ Action = "Register", From = "ann", Data = "Ann" })
    t.equal(t.send({ Action = "Info" }).output.Players, 1, "players")
  end,
}
