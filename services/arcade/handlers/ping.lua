-- Sends a message's data and tags back as they came.
return {
  action = "Ping",
  handle = function(msg, _)
    return {
      output = { Pong = msg.Data, Tags = msg.Tags },
      messages = array({ { Target = msg.From, Action = "Pong", Data = msg.Data } }),
    }
  end,
}
