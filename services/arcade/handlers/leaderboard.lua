-- Lists each player's best score: highest first, of equal scores the earlier one.
local DEFAULT_LIMIT, HIGHEST_LIMIT = 10, 100

return {
  action = "Leaderboard",
  handle = function(msg, store)
    local limit = tonumber(msg.Tags.Limit or DEFAULT_LIMIT)
    if not limit or limit < 1 or limit > HIGHEST_LIMIT or limit % 1 ~= 0 then
      return { refuse = "the tag Limit must be a whole number from 1 to " .. HIGHEST_LIMIT }
    end
    return { output = { Leaderboard = store.top(math.tointeger(limit)) } }
  end,
}
