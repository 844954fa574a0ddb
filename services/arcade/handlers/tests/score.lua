return {
  ["a registered player submits a score"] = function(t)
    t.store.register("ann", "Ann")
    local answer = t.send({ Action = "Score", From = "ann", Data = "70" })
    t.equal(answer.output, { Player = "ann", Name = "Ann", Score = 70 })
    t.equal(t.send({ Action = "Info" }).output.Scores, 1, "scores")
  end,

  ["a stranger and a bad number are refused"] = function(t)
    t.refused({ Action = "Score", From = "ann", Data = "70" })
    t.store.register("ann", "Ann")
    for _, data in ipairs({ "", "x", "-1", "1000001", "1.5" }) do
      t.refused({ Action = "Score", From = "ann", Data = data })
    end
  end,
}
