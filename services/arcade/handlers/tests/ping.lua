return {
  ["data and tags come back as they went in"] = function(t)
    local text = "{{ lookup('pipe','id') }} $(id) '; rm -rf / \n\"<script>"
    local answer = t.send({ Action = "Ping", From = "ann", Data = text, Tags = { note = text } })
    t.equal(answer.output, { Pong = text, Tags = { note = text } })
    t.equal(answer.messages, { { Target = "ann", Action = "Pong", Data = text } })
  end,
}
