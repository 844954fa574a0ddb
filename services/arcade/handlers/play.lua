-- Opens a round: a number from 1 to 100 is to be found with few guesses.
return {
  action = "Play",
  handle = function(msg, store)
    if not store.player_name(msg.From) then return { refuse = "register before you play" } end
    store.open_round(msg.From, math.random(1, 100))
    return { output = { Lowest = 1, Highest = 100, Guesses = 0 } }
  end,
}
