-- Adds a score that was reached elsewhere.
local HIGHEST = 1000000

return {
  action = "Score",
  handle = function(msg, store)
    local points = math.tointeger(tonumber(msg.Data))
    if not points or points < 0 or points > HIGHEST then
      return { refuse = "Data must be a whole number from 0 to " .. HIGHEST }
    end
    local name = store.player_name(msg.From)
    if not name then return { refuse = "register before you submit a score" } end
    store.add_score(msg.From, points, nil)
    return { output = { Player = msg.From, Name = name, Score = points } }
  end,
}
