-- Says what game this is and how many take part.
return {
  action = "Info",
  handle = function(_, store)
    local counts = store.counts()
    return {
      output = { Name = "Number Hunt", Lowest = 1, Highest = 100, Players = counts.Players, Scores = counts.Scores },
    }
  end,
}
