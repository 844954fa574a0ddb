// Asks the process who leads. A dry run needs no key, and changes nothing.
const at = id => document.getElementById(id)

async function ask(cu, process, tags) {
  const response = await fetch(`${cu}/dry-run?process-id=${process}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ Id: "", Owner: "reader", Target: process, Data: "", Tags: tags }),
  })
  const { Messages = [], Error: problem } = await response.json()
  if (problem || !Messages.length) throw new Error(problem || "the process does not answer")
  return JSON.parse(Messages[0].Data)
}

function row({ Rank, Player, Wins }) {
  const made = document.createElement("tr")
  for (const value of [Rank, Player, Wins]) made.append(Object.assign(document.createElement("td"), { textContent: value }))
  return made
}

async function show() {
  try {
    const { process, network, release } = await (await fetch("/process.json")).json()
    const { Games, Leaderboard } = await ask(network.urls.CU_URL, process, [{ name: "Action", value: "Leaderboard" }])
    at("board").replaceChildren(...Leaderboard.map(row))
    at("empty").hidden = Leaderboard.length > 0
    at("games").textContent = Games
    at("version").textContent = release.Version
    at("process").textContent = process
    at("problem").hidden = true
    // Another release brings a page of its own.
    if (!location.pathname.includes(release.Ui)) location.replace("/")
  } catch (error) {
    at("problem").textContent = `The scoreboard cannot be read: ${error.message}`
    at("problem").hidden = false
  }
}

show()
setInterval(show, 5000)
