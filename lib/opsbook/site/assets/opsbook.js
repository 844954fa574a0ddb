/* The parameter form, the values in the code, folded code, and lists that can be narrowed down. No network, no library. */
"use strict";
(() => {
  const first = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const told = (element) => JSON.parse(first("script[type='application/json']", element).textContent);
  const make = (name, content, className) => {
    const element = document.createElement(name);
    element.textContent = content ?? "";
    if (className) element.className = className;
    return element;
  };

  /* ---- values: the same checks as on the command line, which checks again */

  const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400 };
  const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]"; // Python's.
  const AROUND = new RegExp(`^${SPACE}+|${SPACE}+$`, "g");
  const SPAN = new RegExp(`^([0-9]+(?:\\.[0-9]+)?)${SPACE}*(ms|s|m|h|d)$`);
  const LONGEST = 4300; // Digits of a whole number that Python reads.

  const strip = (text) => text.replace(AROUND, "");
  const finite = (number) => (Number.isFinite(number) ? number : null);
  const split = (text) => text.split(",").map(strip).filter(Boolean);

  function whole(text) {
    return /^[-+]?[0-9]+$/.test(text) && text.replace(/^[-+]/, "").length <= LONGEST ? BigInt(text.replace("+", "")) : null;
  }

  function decimal(text) {
    return /^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?$/i.test(text) ? finite(Number(text)) : null;
  }

  function seconds(text) {
    const match = SPAN.exec(strip(text));
    return match && finite(Number(match[1]) * UNITS[match[2]]);
  }

  /** The date formats that Python parses: 2026-11-20, 20261120, 2026-W47-5, 2026W475, 2026-W47, 2026W47. */
  function isDate(text) {
    const day = /^([0-9]{4})(-?)([0-9]{2})\2([0-9]{2})$/.exec(text);
    const week = /^([0-9]{4})(-?)W([0-9]{2})(?:\2([1-7]))?$/.exec(text);
    const year = (day ?? week)?.[1];
    if (!year || year === "0000") return false;
    if (week) return isWeek(year, Number(week[3]), Number(week[4] ?? 1));
    const date = new Date(`${year}-${day[3]}-${day[4]}T00:00:00Z`);
    return !Number.isNaN(date.valueOf()) && date.toISOString().startsWith(`${year}-${day[3]}-${day[4]}`);
  }

  function isWeek(year, week, weekday) {
    const first = new Date(`${year}-01-01T00:00:00Z`).getUTCDay();
    const leap = !Number.isNaN(new Date(`${year}-02-29T00:00:00Z`).valueOf()) && isDate(`${year}-02-29`);
    const weeks = first === 4 || (first === 3 && leap) ? 53 : 52;
    return week >= 1 && week <= weeks && !(year === "9999" && week === 52 && weekday > 5); // 9999 ends on a Friday.
  }

  const READS = {
    int: whole,
    float: decimal,
    duration: seconds,
    date: (text) => (isDate(text) ? text : null),
    bool: (text) => (/^(true|yes|on|false|no|off)$/.test(text.toLowerCase()) ? text : null),
  };

  /** The problem of one value, if any. */
  function wrong(parameter, text) {
    const needs = `${JSON.stringify(text)} is not ${parameter.kind}`;
    if (parameter.choices ? !parameter.choices.includes(text) : parameter.choice && text === "") return needs;
    // Literals are compared as text, limits as numbers.
    const read = parameter.choices && parameter.base === "bool" ? null : READS[parameter.base];
    const value = read ? read(text) : text;
    if (value === null) return needs;
    if (read && parameter.limits && (value < parameter.low || value > parameter.high)) {
      return `${text} is not between ${parameter.limits.join(" and ")}`;
    }
    return fits(parameter.test, text) ? "" : `${JSON.stringify(text)} does not match ${parameter.pattern}`;
  }

  /** `test` is the Pattern in JavaScript; without an equivalent, only the command line checks it. */
  function fits(test, text) {
    try {
      return test === undefined || new RegExp(`^(?:${test})$`, "u").test(text);
    } catch {
      return true;
    }
  }

  /** Characters that no file can contain, or that a terminal takes for keys. */
  function unsafe(text) {
    if (/[\0\ud800-\udfff]/u.test(text)) return "it holds a character that no file can hold";
    return /[\x01-\x08\x0b-\x1f\x7f]/.test(text) ? "it holds a control character, which a terminal takes for a key" : "";
  }

  /** Quotes a word for any shell. Inside quotes fish takes \' and \\ for one character, so they are put outside. */
  function quoted(word) {
    if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word)) return word;
    return `'${word.replace(/'|\\{2,}|\\(?='|$)/g, (found) => `'${found.replace(/./g, "\\$&")}'`)}'`;
  }

  /* ---- the form */

  class Form {
    constructor(element) {
      this.element = element;
      Object.assign(this, told(element));
      this.place = first("#ob-environment", element);
      this.inputs = new Map(this.parameters.map((p) => [p.name, first(`#ob-p-${CSS.escape(p.name)}`, element)]));
      this.given = new Map(); // The texts of each field that somebody touched, as `-p` would be given.
      this.fill(new URLSearchParams(location.search));
      element.addEventListener("input", (event) => this.change(event.target));
      element.addEventListener("submit", (event) => event.preventDefault());
      first(".ob-copy", element).addEventListener("click", (event) => this.copy(event.target));
      this.change(null);
    }

    /** ?environment= is the environment; ?p.NAME= is always a parameter, also one with that name. */
    fill(query) {
      for (const parameter of this.parameters) {
        const plain = parameter.name === "environment" ? [] : query.getAll(parameter.name);
        const texts = [...plain, ...query.getAll(`p.${parameter.name}`)];
        if (parameter.base === "secret" || !texts.length) continue;
        this.given.set(parameter.name, texts);
        this.put(parameter, parameter.many ? texts.join("\n") : texts.at(-1));
      }
      const place = query.getAll("environment").at(-1);
      if (place) offer(this.place, place);
    }

    put(parameter, text) {
      let input = this.inputs.get(parameter.name);
      if (input.tagName === "INPUT" && /[\r\n]/.test(text)) {
        input = roomy(input);
        this.inputs.set(parameter.name, input);
      }
      if (input.tagName === "SELECT") offer(input, text);
      else input.value = text;
    }

    typed(parameter, input) {
      return parameter.many ? input.value.replace(/\n+$/, "").split("\n") : [input.value];
    }

    change(target) {
      const touched = this.parameters.find((parameter) => this.inputs.get(parameter.name) === target);
      if (touched) this.given.set(touched.name, this.typed(touched, target));
      this.suggest();
      const words = ["opsbook", "run", this.runbook, "-e", quoted(this.place.value || "ENVIRONMENT")];
      let good = this.placed();
      for (const parameter of this.parameters.filter((each) => each.base !== "secret")) {
        const texts = this.given.get(parameter.name);
        const problem = this.problem(parameter, texts);
        good = good && !problem;
        const shown = texts ? problem : "";
        say(this.inputs.get(parameter.name), shown, shown || this.doubt(parameter, texts));
        if (problem) words.push("-p", `${parameter.name}=…`);
        else if (texts && !same(texts, parameter.default)) {
          texts.forEach((text) => words.push("-p", quoted(`${parameter.name}=${text}`)));
        }
      }
      this.line = words.join(" ");
      first(".ob-line code", this.element).textContent = this.line;
      first(".ob-copy", this.element).disabled = !good;
      show(this.known(false), this.known(true));
    }

    placed() {
      const offered = Object.keys(this.choices);
      const good = offered.includes(this.place.value);
      const instead = offered.length ? `there is ${offered.join(", ")}` : "there is none yet";
      say(this.place, !good, good ? "" : `${this.place.value || "It"} is no environment in which this may run: ${instead}`);
      return good;
    }

    problem(parameter, texts) {
      if (!texts) return parameter.required ? "it is needed" : "";
      if (!parameter.many && texts.length !== 1) return `it takes one value, not ${texts.length}`;
      if (!parameter.many && parameter.optional && texts[0] === "") return "";
      const items = this.items(parameter, texts);
      const found = texts.map(unsafe).find(Boolean) ?? items.map((item) => wrong(parameter, item)).find(Boolean) ?? "";
      return found && parameter.required && texts.join("") === "" ? "it is needed" : found;
    }

    /** A single text may list several items with commas; in several texts a comma is literal. */
    items(parameter, texts) {
      return parameter.many && texts.length === 1 ? split(texts[0]) : texts;
    }

    /** The environment may be newer than the page: only warn where the command line refuses. */
    doubt(parameter, texts = parameter.default) {
      const offered = this.choices[this.place.value]?.[parameter.choice];
      if (!offered || !texts) return "";
      const strange = this.items(parameter, texts).find((item) => !offered.includes(item));
      const none = strange === undefined || (strange === "" && parameter.optional);
      return none ? "" : `${this.place.value} had no ${parameter.choice.toLowerCase()} ${JSON.stringify(strange)} when this page was made`;
    }

    /** Valid values by name: the given ones, optionally with the defaults. */
    known(defaults) {
      const found = new Map();
      for (const parameter of this.parameters.filter((each) => each.base !== "secret")) {
        const texts = this.given.get(parameter.name) ?? (defaults ? parameter.default : undefined);
        const text = texts && !this.problem(parameter, texts) ? texts.join(",") : "";
        if (text) found.set(parameter.name, text);
      }
      return found;
    }

    suggest() {
      const offered = this.choices[this.place.value] ?? {};
      for (const parameter of this.parameters) {
        const list = first(`#ob-p-${CSS.escape(parameter.name)}-list`, this.element);
        if (list) list.replaceChildren(...(offered[parameter.choice] ?? []).map((value) => new Option("", value)));
      }
    }

    async copy(button) {
      try {
        await navigator.clipboard.writeText(this.line);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(first(".ob-line code", this.element));
        button.textContent = "Press Ctrl-C";
      }
      setTimeout(() => (button.textContent = "Copy"), 2000);
    }
  }

  const same = (texts, others) => texts.length === others?.length && texts.every((text, n) => text === others[n]);

  /** Show the value of a link, even an invalid one. */
  function offer(select, value) {
    if (![...select.options].some((option) => option.value === value)) select.append(new Option(value, value));
    select.value = value;
  }

  /** The same field as a textarea. */
  function roomy(input) {
    const area = document.createElement("textarea");
    for (const { name, value } of input.attributes) {
      if (!["type", "value", "list"].includes(name)) area.setAttribute(name, value);
    }
    input.replaceWith(area);
    return area;
  }

  function say(input, invalid, text) {
    const line = document.getElementById(`${input.id}-wrong`);
    input.setAttribute("aria-invalid", String(Boolean(invalid)));
    line.hidden = !text;
    if (line.textContent !== text) line.textContent = text;
  }

  /* ---- values in the page's text */

  /** In Python, show the value beside a name; in commands and prose, replace $name and {name} by the value or default. */
  function show(given, known) {
    for (const name of all(".ob-code .n, .ob-code .nv")) {
      const value = read(name) && given.get(name.textContent.replace(/^\$\{?|\}$/g, ""));
      name.classList.toggle("ob-value", Boolean(value));
      if (value) name.dataset.value = value;
    }
    for (const code of all(".md-content :not(.ob-line) > code")) {
      if (code.closest(".ob-code")) continue;
      code.dataset.was ??= code.innerHTML;
      put(code, known);
    }
  }

  /** Whether a name is the parameter: not an attribute, and not assigned here. */
  function read(name) {
    const before = name.previousSibling?.textContent ?? "";
    let after = name.nextSibling;
    while (after && !after.textContent.trim()) after = after.nextSibling;
    return !/\.$/.test(before) && after?.textContent.trim() !== "=";
  }

  function put(code, known) {
    const names = [...known.keys()].join("|");
    if (!names && !code.dataset.put) return;
    code.innerHTML = code.dataset.was;
    code.dataset.put = "1";
    if (!names) return;
    const place = new RegExp(`\\$\\{(${names})\\}|\\$(${names})\\b|\\{(${names})\\}`, "g");
    const states = isShell(code) ? quotes(code.textContent) : [];
    const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
    const texts = [];
    for (let at = 0; walker.nextNode(); at += walker.currentNode.data.length) texts.push([walker.currentNode, at]);
    texts.forEach(([node, at]) => replaced(node, place, (name, from) => within(states[at + from], known.get(name))));
  }

  function replaced(node, place, valued) {
    const parts = [];
    let end = 0;
    for (const match of node.data.matchAll(place)) {
      parts.push(node.data.slice(end, match.index));
      parts.push(make("span", valued(match[1] ?? match[2] ?? match[3], match.index), "ob-put"));
      end = match.index + match[0].length;
    }
    if (end) node.replaceWith(...parts, node.data.slice(end));
  }

  const SHELLS = ["bash", "sh", "shell", "zsh", "console", "text"];

  function isShell(code) {
    const language = /\blanguage-([\w-]+)/.exec(code.closest("[class*=language-]")?.className ?? "");
    return !language || SHELLS.includes(language[1]);
  }

  /** The value, escaped for the open quote; unchanged if this is no shell. */
  function within(quote, value) {
    if (quote === undefined) return value;
    if (quote === "'") return value.replaceAll("'", "'\\''");
    if (quote !== '"') return quoted(value);
    // ! cannot be escaped in double quotes.
    return value.replace(/["\\$`]/g, "\\$&").replace(/!+/g, "\"'$&'\"");
  }

  /** For each character of a command, the open quote. */
  function quotes(text) {
    const found = scanned(text);
    // A quote that stays open is an apostrophe: scan each line on its own.
    return found.open ? text.split("\n").flatMap((line) => ["", ...scanned(line)]).slice(1) : found;
  }

  function scanned(text) {
    const found = [];
    let quote = "";
    for (let n = 0; n < text.length; n += 1) {
      found.push(quote);
      const letter = text[n];
      if (letter === "\\" && quote !== "'") {
        n += 1;
        found.push(quote);
      } else if (letter === quote) quote = "";
      else if (!quote && (letter === "'" || letter === '"')) quote = letter;
    }
    found.open = quote;
    return found;
  }

  /* ---- the theme's copy button: copy a console's commands, without prompts and output */

  function commands(code) {
    const signs = first("span[class]:not(:empty)", code);
    if (!signs?.matches(".gp, .go") || !first(".gp", code)) return;
    const typed = code.cloneNode(true);
    all(".gp, .go", typed).forEach((each) => each.remove());
    code.dataset.copy = typed.textContent.replace(/\n{2,}/g, "\n").trim();
  }

  /* ---- folded code: c unfolds and folds all of it */

  function foldKey(event) {
    const typing = event.target.closest?.("input, select, textarea, [contenteditable]");
    if (event.key !== "c" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const folded = all("details.ob-code");
    const open = folded.some((each) => !each.open);
    folded.forEach((each) => (each.open = open));
    // The theme unfolds everything before it prints; print only code that the reader unfolded.
    document.body.classList.toggle("ob-unfolded", open);
  }

  /* ---- lists */

  const words = (input) => input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (text, wanted) => wanted.every((word) => text.includes(word));

  function filterRows(input) {
    const rows = all(".ob-list tbody tr").map((row) => [row, row.textContent.toLowerCase()]);
    const narrow = () => {
      const wanted = words(input);
      rows.forEach(([row, text]) => (row.hidden = !matches(text, wanted)));
      all(".ob-list").forEach((table) => {
        const empty = !first("tbody tr:not([hidden])", table);
        table.hidden = empty;
        if (table.previousElementSibling?.classList.contains("ob-kind")) table.previousElementSibling.hidden = empty;
      });
      first(".ob-count").textContent = wanted.length ? `${rows.filter(([row]) => !row.hidden).length} of ${rows.length}` : "";
    };
    input.addEventListener("input", narrow);
    narrow();
  }

  const PAGE = 100;
  const HEAD = ["outcome", "what", "environment", "by", "started", "took"];

  /** A duration as on the rest of the site: 0.4 s, 12 s, 3m 05s, 1h 02m. */
  function duration(took) {
    if (took === null) return "—";
    if (took < 60) return `${took.toFixed(took < 10 ? 1 : 0)} s`;
    const minutes = Math.floor(Math.round(took) / 60);
    const two = (number) => String(number).padStart(2, "0");
    return minutes < 60 ? `${minutes}m ${two(Math.round(took) % 60)}s` : `${Math.floor(minutes / 60)}h ${two(minutes % 60)}m`;
  }

  function hashed() {
    try {
      return decodeURIComponent(location.hash.slice(1));
    } catch {
      return ""; // A link that was cut in the middle of a letter names no record.
    }
  }

  class Records {
    constructor(element) {
      Object.assign(this, told(element));
      this.element = element;
      this.input = first("#ob-filter");
      this.rows = [];
      this.opened = new Set();
      this.wanted = hashed();
      this.waiting = [...this.months];
      this.shown = PAGE;
      window.opsbook = { month: (_, rows) => this.add(rows) };
      this.input.addEventListener("input", () => { this.shown = PAGE; this.draw(); });
      window.addEventListener("hashchange", () => { this.wanted = hashed(); this.show(); });
      this.more = make("button", "More", "md-button");
      this.more.addEventListener("click", () => { this.shown += PAGE; this.draw(); });
      this.next();
    }

    /** Load one month after the other, the newest first. */
    next() {
      const month = this.waiting.shift();
      if (!month) return;
      const script = document.createElement("script");
      script.src = new URL(`../assets/records/${month}.js`, location.href).href.split("#")[0].split("?")[0];
      script.onload = () => this.next();
      document.head.append(script);
    }

    add(rows) {
      this.rows.push(...rows.map((row) => [row, [...row.slice(0, 8), this.kinds[row[1]]].join(" ").toLowerCase()]));
      this.draw();
      this.show();
    }

    found() {
      const wanted = words(this.input);
      return this.rows.filter(([, text]) => matches(text, wanted));
    }

    draw() {
      const found = this.found();
      const body = make("tbody");
      let month = "";
      for (const [row] of found.slice(0, this.shown)) {
        if (row[7].slice(0, 7) !== month) {
          month = row[7].slice(0, 7);
          const head = make("tr", "", "ob-month");
          const cell = make("th", month);
          cell.colSpan = HEAD.length;
          cell.scope = "rowgroup";
          head.append(cell);
          body.append(head);
        }
        body.append(...this.lines(row));
      }
      const table = make("table", "", "ob-rows");
      table.createTHead().insertRow().append(...HEAD.map((title) => Object.assign(make("th", title), { scope: "col" })));
      table.append(body);
      const frame = make("div", "", "ob-table ob-records");
      frame.tabIndex = 0;
      frame.append(table);
      this.element.replaceChildren(frame, ...(found.length > this.shown ? [this.more] : []));
      first(".ob-count").textContent = `${found.length} of ${this.rows.length}`;
    }

    lines([id, runbook, title, place, by, outcome, reason, started, took, steps, page]) {
      const row = make("tr");
      const link = make("a", title);
      link.href = `#${encodeURIComponent(id)}`;
      const what = make("span");
      what.append(link, ...(this.kinds[runbook] ? [" ", make("span", this.kinds[runbook], "ob-what")] : []));
      const time = make("time", started.slice(0, 16).replace("T", " "));
      time.dateTime = started;
      [make("span", outcome, `ob-outcome ob-${outcome}`), what, place, by, time, duration(took)].forEach((part, n) => {
        const cell = make("td");
        cell.dataset.label = HEAD[n];
        cell.append(part);
        row.append(cell);
      });
      row.id = id;
      const more = make("tr", "", "ob-more");
      const cell = make("td");
      cell.colSpan = HEAD.length;
      cell.append(make("p", reason), this.steps(runbook, steps), make("code", `opsbook records show ${id}`));
      if (page) {
        const whole = make("a", "the whole record");
        whole.href = `${encodeURIComponent(id)}/index.html`;
        cell.append(" · ", whole);
      }
      more.append(cell);
      const open = (now) => {
        more.hidden = !now;
        link.setAttribute("aria-expanded", String(now));
        this.opened[now ? "add" : "delete"](id);
      };
      open(this.opened.has(id));
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        // Do not navigate: that would open the row that the address names again.
        event.preventDefault();
        open(more.hidden);
        history.replaceState(null, "", more.hidden ? location.href.split("#")[0] : link.href);
      });
      return [row, more];
    }

    /** The title of a step: a record has only its id; the page has the title, if it still has the step. */
    steps(runbook, steps) {
      const titles = this.titles[runbook] ?? {};
      const list = make("ol");
      for (const [step, status, took] of steps) {
        list.append(make("li", `${titles[step] ?? step}: ${status}${took >= 1 ? `, ${duration(took)}` : ""}`));
      }
      return list;
    }

    /** Open the row of the address; its month may not be loaded yet. */
    show() {
      const named = ([row]) => row[0] === this.wanted;
      if (!this.wanted || !this.rows.some(named)) return;
      if (!this.found().some(named)) this.input.value = "";
      this.shown = Math.max(this.shown, this.found().findIndex(named) + 1);
      this.opened.add(this.wanted);
      this.draw();
      document.getElementById(this.wanted).scrollIntoView();
      this.wanted = "";
    }
  }

  /* ---- a decision tree: one question at a time; number keys answer, Backspace goes back */

  class Walk {
    constructor(element) {
      this.element = element;
      this.way = [first(".ob-tree li")];
      document.addEventListener("keydown", (event) => this.key(event));
      this.draw();
    }

    get answers() {
      const list = first("ul", this.way.at(-1));
      return list ? [...list.children] : [];
    }

    label(item) {
      return first("strong", item).textContent;
    }

    /** An item's own text, without answers, label and check. */
    said(item) {
      const own = item.cloneNode(true);
      all("ul", own).forEach((list) => list.remove());
      if (item !== this.way[0]) first("strong", own)?.remove();
      return own;
    }

    go(item) {
      this.way.push(item);
      this.draw();
      const [button, link] = [first("button", this.element), first("a", this.element)];
      (this.answers.length ? button : link ?? button)?.focus();
    }

    back() {
      if (this.way.length > 1) this.way.pop();
      this.draw();
    }

    draw() {
      const trail = make("ol", "", "ob-trail");
      this.way.slice(0, -1).forEach((item, n) => {
        trail.append(make("li", `${this.said(item).textContent.trim()} ${this.label(this.way[n + 1])}`));
      });
      const now = make("p", "", this.answers.length ? "ob-question" : "ob-advice");
      now.append(...this.said(this.way.at(-1)).childNodes);
      const buttons = make("p");
      this.answers.forEach((item, n) => {
        const button = make("button", this.label(item), "md-button");
        button.append(make("kbd", String(n + 1)));
        button.addEventListener("click", () => this.go(item));
        buttons.append(button);
      });
      if (this.way.length > 1) {
        const button = make("button", "Back", "md-button ob-back");
        button.addEventListener("click", () => this.back());
        buttons.append(button);
      }
      this.element.replaceChildren(trail, now, buttons);
    }

    key(event) {
      if (event.target.closest?.("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
      const item = /^[1-9]$/.test(event.key) && this.answers[Number(event.key) - 1];
      if (item) this.go(item);
      if (event.key === "Backspace") this.back();
    }
  }

  function start() {
    all("form.ob-form").forEach((element) => new Form(element));
    document.addEventListener("keydown", foldKey);
    all(".highlight code").forEach(commands);
    const filter = first("#ob-filter");
    if (filter?.dataset.filters === "runbooks") filterRows(filter);
    const walk = first(".ob-walk");
    if (walk) new Walk(walk);
    const records = first("#ob-records");
    if (records) new Records(records);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
