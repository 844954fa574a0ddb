local function guess(t, number) return t.send({ Action = "Guess", From = "ann", Data = tostring(number) }) end

return {
  ["only a registered player plays"] = function(t)
    t.refused({ Action = "Play", From = "ann" })
  end,

  ["a round opens without telling its number"] = function(t)
    t.store.register("ann", "Ann")
    t.equal(t.send({ Action = "Play", From = "ann" }).output, { Lowest = 1, Highest = 100, Guesses = 0 })
    local secret = t.store.round("ann").secret
    assert(secret >= 1 and secret <= 100, "the number is out of range")
  end,

  ["hints lead to the number, and it becomes a score"] = function(t)
    t.store.register("ann", "Ann")
    t.store.open_round("ann", 42)
    t.equal(guess(t, 50).output, { Hint = "lower", Guesses = 1 })
    t.equal(guess(t, 25).output, { Hint = "higher", Guesses = 2 })
    t.equal(guess(t, 42).output, { Hint = "found", Guesses = 3, Score = 80 })
    t.equal(t.store.top(1)[1].Score, 80, "score")
    t.refused({ Action = "Guess", From = "ann", Data = "42" })
  end,

  ["with the flag close-hint a guess says whether it is close"] = function(t)
    t.store.open_round("ann", 42)
    local function hinted(number)
      local flags = { ["close-hint"] = true }
      return t.send({ Action = "Guess", From = "ann", Data = tostring(number), Flags = flags }).output
    end
    t.equal(hinted(36), { Hint = "higher", Guesses = 1, Close = false })
    t.equal(hinted(47), { Hint = "lower", Guesses = 2, Close = true })
  end,

  ["a guess is a whole number in range"] = function(t)
    t.store.open_round("ann", 42)
    for _, data in ipairs({ "", "x", "0", "101", "1.5" }) do
      t.refused({ Action = "Guess", From = "ann", Data = data })
    end
  end,
}
