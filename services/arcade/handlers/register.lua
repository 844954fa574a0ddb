-- Gives the sender a name. Any text is a name, because names are shown and stored as data only.
local LONGEST = 64

return {
  action = "Register",
  handle = function(msg, store)
    if msg.From == "" then return { refuse = "a message needs From to register a player" } end
    local length = utf8.len(msg.Data)
    if not length or length < 1 or length > LONGEST then
      return { refuse = "Data must be a name of 1 to " .. LONGEST .. " characters" }
    end
    local is_new = store.register(msg.From, msg.Data)
    return { output = { Player = msg.From, Name = msg.Data, New = is_new } }
  end,
}
