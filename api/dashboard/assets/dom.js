// Makes and updates elements. Text is only ever text: nothing here reads HTML.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export const h = (tag, properties, ...children) =>
  fill(document.createElement(tag), properties, children);

export const s = (tag, properties, ...children) =>
  fill(document.createElementNS(SVG, tag), properties, children);

export function say(node, text) {
  const now = String(text ?? "");
  if (node.textContent !== now) node.textContent = now;
}

export function mark(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

// Has `parent` show one element for each item, in order. An element lives as long as its key does,
// so focus, selection and open details stay where they are. `make` returns {node, update}.
export function keep(parent, items, keyOf, make) {
  const before = parent.kept ?? new Map();
  const kept = new Map();
  const focused = document.activeElement;
  let next = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    if (kept.has(key)) continue;
    const part = before.get(key) ?? make(item);
    before.delete(key);
    kept.set(key, part);
    part.update(item);
    if (part.node === next) next = next.nextSibling;
    else parent.insertBefore(part.node, next);
  }
  for (const part of before.values()) part.node.remove();
  parent.kept = kept;
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus();
}

const SHAPES = {
  good: ["circle", { cx: 5, cy: 5, r: 4.4 }],
  warn: ["path", { d: "M5 .6 9.8 9.4H.2Z" }],
  bad: ["path", { d: "M1 1h8v8H1Z" }],
  off: ["path", { d: "M5 .2 9.8 5 5 9.8.2 5Z" }],
};

// Each kind of state has a shape of its own: colour alone tells it to nobody who does not see it.
export function shape(kind) {
  const [tag, attributes] = SHAPES[kind];
  const tone = kind === "off" ? "muted" : kind;
  return s("svg", { class: `shape ${tone}`, viewBox: "0 0 10 10", "aria-hidden": "true" },
    s(tag, attributes));
}

export function state() {
  const words = h("span");
  const node = h("span", { class: "state" }, words);
  let shown = "";
  return {
    node,
    update(kind, text) {
      if (shown !== kind) {
        if (shown) node.firstChild.remove();
        node.prepend(shape(kind));
        shown = kind;
      }
      say(words, text);
    },
  };
}

// A table with a head, whose cells are cards on a narrow screen.
export function table(title, columns, className = "cards") {
  const body = h("tbody", { role: "rowgroup" });
  const heads = columns.map(([name, kind]) =>
    h("th", { scope: "col", role: "columnheader", class: kind === "number" ? "number" : null },
      kind === "hidden" ? h("span", { class: "unseen" }, name) : name));
  const node = h("div", { class: className },
    h("table", { role: "table", "aria-label": title },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)), body));
  return { node, body };
}

export function empty(title, ...lines) {
  return h("div", { class: "empty" }, h("strong", {}, title), ...lines.map((line) => h("span", {}, line)));
}
