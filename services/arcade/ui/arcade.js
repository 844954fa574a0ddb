// Whatever comes from players or the service is shown with textContent, never as markup.
const byId = (id) => document.getElementById(id);
const REFRESH_MS = 5000;
const HINTS = { higher: "Higher than", lower: "Lower than" };

const state = { id: localStorage.getItem("arcade.id"), name: localStorage.getItem("arcade.name"), low: 1, high: 100 };

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function send(action, data = "", tags = {}) {
  const body = JSON.stringify({ Action: action, From: state.id ?? "", Data: data, Tags: tags });
  const response = await fetch("messages", { method: "POST", body });
  const answer = await response.json().catch(() => ({ error: `The service answered ${response.status}.` }));
  if (!response.ok) throw new Error(answer.error);
  showOrigin(answer.Instance, answer.Version);
  return answer.Output;
}

function showOrigin(instance, version) {
  byId("instance").textContent = instance;
  byId("version").textContent = version;
}

function showProblem(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}

function showTable() {
  byId("join").hidden = Boolean(state.name);
  byId("table").hidden = !state.name;
  byId("player").textContent = state.name ?? "";
}

function showSpan() {
  byId("span").style.insetInline = `${state.low - 1}% ${100 - state.high}%`;
  byId("lowest").textContent = state.low;
  byId("highest").textContent = state.high;
}

function showRound(open, hint) {
  byId("guess").hidden = !open;
  byId("play").hidden = open;
  byId("hint").textContent = hint;
  byId("hint").classList.toggle("found", hint.startsWith("Found"));
  if (open) byId("number").focus({ preventScroll: true });
}

function addGuess(number, hint) {
  const item = document.createElement("li");
  item.textContent = { higher: `${number} ↑`, lower: `${number} ↓` }[hint] ?? `${number} ✓`;
  byId("guesses").append(item);
}

async function join(name) {
  state.id ??= newId();
  await send("Register", name);
  state.name = name;
  localStorage.setItem("arcade.id", state.id);
  localStorage.setItem("arcade.name", name);
  showTable();
  await play();
}

async function play() {
  const round = await send("Play");
  state.low = round.Lowest;
  state.high = round.Highest;
  byId("guesses").replaceChildren();
  showSpan();
  showRound(true, "Which number is it?");
}

async function guess(number) {
  const answer = await send("Guess", String(number));
  addGuess(number, answer.Hint);
  if (answer.Hint === "higher") state.low = Math.max(state.low, number + 1);
  if (answer.Hint === "lower") state.high = Math.min(state.high, number - 1);
  if (answer.Hint === "found") state.low = state.high = number;
  showSpan();
  if (answer.Hint !== "found") return showRound(true, `${HINTS[answer.Hint]} ${number}.`);
  showRound(false, `Found with ${answer.Guesses} ${answer.Guesses === 1 ? "guess" : "guesses"}: ${answer.Score} points!`);
  return refresh();
}

function boardRow(row) {
  const line = document.createElement("tr");
  line.classList.toggle("me", row.Player === state.id);
  for (const value of [row.Rank, row.Name, row.Score]) {
    const cell = document.createElement("td");
    cell.textContent = value;
    line.append(cell);
  }
  return line;
}

async function refresh() {
  const { Leaderboard: rows } = await send("Leaderboard", "", { Limit: "10" });
  byId("board").replaceChildren(...rows.map(boardRow));
  byId("empty").hidden = rows.length > 0;
}

async function attempt(work) {
  try {
    await work();
    showProblem("");
  } catch (error) {
    showProblem(error instanceof TypeError ? "The service does not answer. Try again." : error.message);
  }
}

async function submit(event, work) {
  event.preventDefault();
  const button = event.submitter ?? event.currentTarget;
  button.disabled = true;
  await attempt(work);
  button.disabled = false;
}

byId("join").addEventListener("submit", (event) => submit(event, () => join(byId("name").value)));
byId("guess").addEventListener("submit", (event) =>
  submit(event, async () => {
    const number = byId("number").valueAsNumber;
    byId("number").value = "";
    await guess(number);
  }),
);
byId("play").addEventListener("click", (event) => submit(event, play));
byId("rename").addEventListener("click", () => {
  byId("name").value = state.name;
  byId("join").hidden = false;
  byId("table").hidden = true;
});

showTable();
showRound(false, "Ready when you are.");
attempt(refresh);
setInterval(() => document.hidden || refresh().catch(() => {}), REFRESH_MS);
