// Keeps the page of an incident or a run current. What arrives was escaped by the server, as the page itself.
"use strict";
const live = document.getElementById("live");
const said = document.getElementById("connection");
const changes = new EventSource(live.dataset.events);
changes.onmessage = (event) => {
  live.innerHTML = JSON.parse(event.data).body;
  said.textContent = `Current as of ${new Date().toLocaleTimeString()}; changes appear by themselves.`;
};
changes.onerror = () => {
  said.textContent = `Not connected since ${new Date().toLocaleTimeString()}: this may be old. It is tried again.`;
};
