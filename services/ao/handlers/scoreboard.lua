-- Who won how many games. All that lasts is in State; a new version must read the State of the one before.
State = State or { Games = {}, Count = 0, Wins = {} }

local DEFAULT_LIMIT, HIGHEST_LIMIT = 10, 100

local function refuse(msg, problem) msg.reply({ Action = msg.Action .. "-Refused", Error = problem }) end

local function name_of(text)
  return type(text) == "string" and #text >= 1 and #text <= 64 and not text:find("%c") and text or nil
end

-- Only the owner of the process, who runs the games, says who won. A game counts once, however often it is reported.
Handlers.add("Record-Result", "Record-Result", function(msg)
  if msg.From ~= ao.env.Process.Owner then return refuse(msg, "only the owner records results") end
  local game, winner = name_of(msg.Tags.Game), name_of(msg.Tags.Winner)
  if not game or not winner then return refuse(msg, "the tags Game and Winner must be names of 1 to 64 characters") end
  local known = State.Games[game]
  if known and known ~= winner then return refuse(msg, "the game " .. game .. " was won by " .. known) end
  if not known then
    State.Games[game], State.Count = winner, State.Count + 1
    State.Wins[winner] = (State.Wins[winner] or 0) + 1
  end
  msg.reply({ Action = "Result-Recorded", Game = game, Winner = winner, Wins = tostring(State.Wins[winner]) })
end)

-- Most wins first, equal ones by name.
Handlers.add("Leaderboard", "Leaderboard", function(msg)
  local limit = math.tointeger(tonumber(msg.Tags.Limit or DEFAULT_LIMIT))
  if not limit or limit < 1 or limit > HIGHEST_LIMIT then
    return refuse(msg, "the tag Limit must be a whole number from 1 to " .. HIGHEST_LIMIT)
  end
  local board = {}
  for name, wins in pairs(State.Wins) do table.insert(board, { Player = name, Wins = wins }) end
  table.sort(board, function(a, b)
    if a.Wins ~= b.Wins then return a.Wins > b.Wins end
    return a.Player < b.Player
  end)
  for rank = #board, 1, -1 do
    if rank > limit then table.remove(board, rank) else board[rank].Rank = rank end
  end
  msg.reply({ Action = "Leaderboard", Data = require("json").encode({ Games = State.Count, Leaderboard = board }) })
end)
