-- Answers a guess with higher, lower or found; a found number becomes a score. With the flag close-hint it also
-- says whether the guess is close.
local CLOSE = 5

local function points_for(guesses) return math.max(10, 110 - 10 * guesses) end

local function found(msg, store, guesses)
  local points = points_for(guesses)
  store.close_round(msg.From)
  store.add_score(msg.From, points, guesses)
  return {
    output = { Hint = "found", Guesses = guesses, Score = points },
    messages = array({ { Target = msg.From, Action = "Round-Won", Data = tostring(points) } }),
  }
end

return {
  action = "Guess",
  handle = function(msg, store)
    local number = math.tointeger(tonumber(msg.Data))
    if not number or number < 1 or number > 100 then
      return { refuse = "Data must be a whole number from 1 to 100" }
    end
    local round = store.round(msg.From)
    if not round then return { refuse = "there is no open round: send Play first" } end
    local guesses = store.count_guess(msg.From)
    if number == round.secret then return found(msg, store, guesses) end
    local output = { Hint = number < round.secret and "higher" or "lower", Guesses = guesses }
    if msg.Flags["close-hint"] then output.Close = math.abs(number - round.secret) <= CLOSE end
    return { output = output }
  end,
}
