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

  /* ---- values: the same rules as the command line's; it has the last word */

  const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400 };

  function seconds(value) {
    const match = /^([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)$/.exec(value.trim());
    return match ? Number(match[1]) * UNITS[match[2]] : null;
  }

  const NUMBERS = {
    int: (value) => (/^[-+]?[0-9]+$/.test(value) ? Number(value) : null),
    float: (value) => (/^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?$/i.test(value) ? Number(value) : null),
    duration: seconds,
  };

  function isDate(value) {
    const day = new Date(`${value}T00:00:00Z`);
    return /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(value) && !Number.isNaN(day.valueOf()) && day.toISOString().startsWith(value);
  }

  /** What is wrong with one value, or nothing. */
  function wrong(parameter, value) {
    const needs = `${JSON.stringify(value)} is not ${parameter.kind}`;
    if (/[\0\ud800-\udfff]/u.test(value)) return "it holds a character that no file can hold";
    if (parameter.choices) return parameter.choices.includes(value) ? "" : needs;
    if (parameter.base === "bool") return value === "true" || value === "false" ? "" : needs;
    if (parameter.base === "date") return isDate(value) ? "" : needs;
    if (parameter.base in NUMBERS) {
      const number = NUMBERS[parameter.base](value);
      if (number === null) return needs;
      if (parameter.low !== undefined && (number < parameter.low || number > parameter.high)) {
        return `${value} is not between ${parameter.low} and ${parameter.high}`;
      }
    }
    return fits(parameter.pattern, value) ? "" : `${JSON.stringify(value)} does not match ${parameter.pattern}`;
  }

  function fits(pattern, value) {
    if (!pattern) return true;
    try {
      return new RegExp(`^(?:${pattern})$`, "u").test(value);
    } catch {
      return true; // An expression that only Python knows is left to the command line.
    }
  }

  /** A word that any POSIX shell gives back as it is. */
  function quoted(word) {
    return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
  }

  /* ---- the form */

  class Form {
    constructor(element) {
      this.element = element;
      Object.assign(this, told(element));
      this.place = first("[name=environment]", element);
      this.inputs = new Map(this.parameters.map((p) => [p.name, first(`#ob-${CSS.escape(p.name)}`, element)]));
      this.touched = new Set();
      this.fill(new URLSearchParams(location.search));
      element.addEventListener("input", (event) => this.change(event.target));
      element.addEventListener("submit", (event) => event.preventDefault());
      first(".ob-copy", element).addEventListener("click", (event) => this.copy(event.target));
      this.change(null);
    }

    fill(query) {
      for (const parameter of this.parameters) {
        const values = query.getAll(parameter.name);
        if (parameter.base === "secret" || !values.length) continue;
        const input = this.inputs.get(parameter.name);
        const value = parameter.many ? values.join(",") : values[values.length - 1];
        this.touched.add(parameter.name);
        if (input.tagName === "SELECT" && ![...input.options].some((option) => option.value === value)) {
          input.append(new Option(value, value)); // What an alert says is shown, and refused in words.
        }
        input.value = value;
      }
      const place = query.get("environment");
      if (place && [...this.place.options].some((option) => option.value === place)) this.place.value = place;
    }

    values() {
      return this.parameters
        .filter((parameter) => parameter.base !== "secret")
        .map((parameter) => [parameter, this.inputs.get(parameter.name).value]);
    }

    change(target) {
      if (target?.name) this.touched.add(target.name);
      this.suggest();
      const words = ["opsbook", "run", this.runbook, "-e", quoted(this.place.value || "ENVIRONMENT")];
      let good = true;
      for (const [parameter, value] of this.values()) {
        const problem = this.problem(parameter, value);
        good = good && !problem;
        this.say(parameter, problem);
        if (value === "" && parameter.required) words.push("-p", `${parameter.name}=…`);
        else if (value !== (parameter.default ?? "")) words.push("-p", quoted(`${parameter.name}=${value}`));
      }
      this.line = words.join(" ");
      first(".ob-line code", this.element).textContent = this.line;
      first(".ob-copy", this.element).disabled = !good;
      show(this.values(), this.touched);
    }

    problem(parameter, value) {
      if (value === "") return parameter.required ? "it is needed" : "";
      const items = parameter.many ? value.split(",").map((item) => item.trim()).filter(Boolean) : [value];
      return items.map((item) => wrong(parameter, item)).find(Boolean) ?? "";
    }

    say(parameter, problem) {
      const input = this.inputs.get(parameter.name);
      const line = first(`#ob-${CSS.escape(parameter.name)}-wrong`, this.element);
      const shown = this.touched.has(parameter.name) ? problem : "";
      input.setAttribute("aria-invalid", String(Boolean(shown)));
      line.hidden = !shown;
      if (line.textContent !== shown) line.textContent = shown;
    }

    suggest() {
      const offered = this.choices[this.place.value] ?? {};
      for (const parameter of this.parameters) {
        const list = first(`#ob-${CSS.escape(parameter.name)}-list`, this.element);
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

  /* ---- values in what is shown */

  /** In Python a name gets its value beside it; in commands and prose $name and {name} become the value. */
  function show(values, touched) {
    const known = new Map(values.map(([parameter, value]) => [parameter.name, touched.has(parameter.name) ? value : ""]));
    for (const name of all(".ob-code .n, .ob-code .nv")) {
      const value = known.get(name.textContent.replace(/^\$\{?|\}$/g, ""));
      name.classList.toggle("ob-value", Boolean(value));
      if (value) name.dataset.value = value;
    }
    for (const code of all(".md-content :not(.ob-line) > code")) {
      if (code.closest(".ob-code")) continue;
      code.dataset.was ??= code.innerHTML;
      put(code, known);
    }
  }

  function put(code, known) {
    const names = [...known].filter(([, value]) => value).map(([name]) => name);
    if (!names.length && !code.dataset.put) return;
    code.innerHTML = code.dataset.was;
    code.dataset.put = "1";
    const place = new RegExp(`\\$\\{(${names.join("|")})\\}|\\$(${names.join("|")})\\b|\\{(${names.join("|")})\\}`);
    const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    if (names.length) texts.forEach((node) => replaced(node, place, known));
  }

  function replaced(node, place, known) {
    const match = place.exec(node.data);
    if (!match) return;
    const rest = node.splitText(match.index);
    const after = rest.splitText(match[0].length);
    rest.replaceWith(make("span", quoted(known.get(match[1] ?? match[2] ?? match[3])), "ob-put"));
    replaced(after, place, known);
  }

  /* ---- folded code: c opens and closes all of it */

  function foldKey(event) {
    const typing = event.target.closest?.("input, select, textarea, [contenteditable]");
    if (event.key !== "c" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const folded = all("details.ob-code");
    const open = folded.some((each) => !each.open);
    folded.forEach((each) => (each.open = open));
    // The theme opens everything before it prints; on paper code is only there if it was asked for.
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

  class Records {
    constructor(element) {
      Object.assign(this, told(element));
      this.element = element;
      this.input = first("#ob-filter");
      this.rows = [];
      this.waiting = [...this.months];
      this.shown = PAGE;
      window.opsbook = { month: (_, rows) => this.add(rows) };
      this.input.addEventListener("input", () => { this.shown = PAGE; this.draw(); });
      window.addEventListener("hashchange", () => this.open());
      this.more = make("button", "More", "md-button");
      this.more.addEventListener("click", () => { this.shown += PAGE; this.draw(); });
      this.next();
    }

    /** One month after the other: the newest is there at once. */
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
      this.open();
    }

    draw() {
      const wanted = words(this.input);
      const found = this.rows.filter(([, text]) => matches(text, wanted));
      const body = make("tbody");
      let month = "";
      for (const [row] of found.slice(0, this.shown)) {
        if (row[7].slice(0, 7) !== month) {
          month = row[7].slice(0, 7);
          const head = make("tr");
          const cell = make("th", month);
          cell.colSpan = 6;
          cell.scope = "rowgroup";
          head.append(cell);
          body.append(head);
        }
        body.append(...this.lines(row));
      }
      const table = make("table");
      table.append(body);
      const frame = make("div", "", "ob-table ob-records");
      frame.tabIndex = 0;
      frame.append(table);
      this.element.replaceChildren(frame, ...(found.length > this.shown ? [this.more] : []));
      first(".ob-count").textContent = `${found.length} of ${this.rows.length}`;
    }

    lines([id, runbook, title, place, by, outcome, reason, started, took, steps, page]) {
      const row = make("tr");
      const state = make("span", outcome, `ob-outcome ob-${outcome}`);
      const link = make("a", title);
      link.href = `#${id}`;
      const time = make("time", started.slice(0, 16).replace("T", " "));
      time.dateTime = started;
      for (const part of [state, link, place, by, time, took === null ? "—" : `${Math.round(took * 10) / 10} s`]) {
        const cell = make("td");
        cell.append(part);
        row.append(cell);
      }
      row.id = id;
      const more = make("tr");
      more.hidden = true;
      const cell = make("td");
      cell.colSpan = 6;
      cell.append(make("p", reason), this.steps(steps), make("code", `opsbook records show ${id}`));
      if (page) {
        const whole = make("a", "the whole record");
        whole.href = `${encodeURIComponent(id)}/index.html`;
        cell.append(" · ", whole);
      }
      more.append(cell);
      link.addEventListener("click", () => (more.hidden = !more.hidden));
      return [row, more];
    }

    steps(steps) {
      const list = make("ol");
      for (const [step, status, took] of steps) {
        list.append(make("li", `${step}: ${status}${took === null ? "" : `, ${Math.round(took * 10) / 10} s`}`));
      }
      return list;
    }

    open() {
      const id = decodeURIComponent(location.hash.slice(1));
      const row = id && document.getElementById(id);
      if (row?.nextElementSibling) {
        row.nextElementSibling.hidden = false;
        row.scrollIntoView();
      }
    }
  }

  /* ---- a decision tree: one question at a time; numbers answer, Backspace goes back */

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

    /** What an item says itself: without its answers, its own label, and its check. */
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
