// One chart: lines over time, drawn here. Its table says the same in words.

import { h, s, say } from "./dom.js";
import { clock } from "./format.js";

const LEFT = 46;
const BOTTOM = 18;
const TOP = 6;
const RIGHT = 4;

export class Plot {
  // `series` are [{name, of(step)}], the first in the accent colour; `tell` writes a value.
  constructor(title, series, tell, { area = false } = {}) {
    this.title = title;
    this.series = series;
    this.tell = tell;
    this.area = area;
    this.at = null;
    this.now = h("p", { class: "chart-now" });
    this.svg = s("svg", { role: "img", tabindex: "0" });
    this.rows = h("tbody", {});
    const legend = series.length > 1 ? h("span", { class: "legend" }, series.map(key)) : null;
    const head = h("tr", {}, h("th", { scope: "col" }, "Time"),
      series.map((each) => h("th", { scope: "col", class: "number" }, each.name)));
    this.details = h("details", {}, h("summary", {}, `${title} as a table`),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title} as a table` },
        h("table", {}, h("thead", {}, head), this.rows)));
    this.node = h("div", { class: "chart" },
      h("h3", {}, title), h("div", { class: "chart-head" }, this.now, legend),
      h("div", { class: "plot" }, this.svg), this.details);
    this.listen();
  }

  listen() {
    new ResizeObserver(() => this.draw()).observe(this.svg);
    this.svg.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.svg.addEventListener("pointerleave", () => this.choose(null));
    this.svg.addEventListener("blur", () => this.choose(null));
    this.details.addEventListener("toggle", () => this.fillTable());
    this.svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || !this.past) return;
      event.preventDefault();
      const last = this.past.steps.length - 1;
      this.choose(Math.min(last, Math.max(0, (this.at ?? last + 1) + step)));
    });
  }

  show(past) {
    this.past = past;
    this.draw();
    this.fillTable();
  }

  point(x) {
    if (!this.past) return;
    const last = this.past.steps.length - 1;
    const part = (x - LEFT) / (this.svg.clientWidth - LEFT - RIGHT);
    this.choose(Math.min(last, Math.max(0, Math.round(part * last))));
  }

  choose(at) {
    if (at === this.at) return;
    this.at = at;
    this.draw();
  }

  draw() {
    const [width, height] = [this.svg.clientWidth, this.svg.clientHeight];
    if (!this.past || !width) return;
    const { steps } = this.past;
    const values = this.series.map((each) => steps.map(each.of));
    const top = niceTop(Math.max(0, ...values.flat().filter((value) => value !== null)));
    const x = (at) => LEFT + (at / (steps.length - 1)) * (width - LEFT - RIGHT);
    const y = (value) => TOP + (1 - value / (top || 1)) * (height - TOP - BOTTOM);
    const parts = [...this.frame(x, y, top, width, height)];
    values.forEach((line, number) => parts.push(...this.line(line, number, x, y)));
    if (this.at !== null) parts.push(...this.mark(values, x, y, height));
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("aria-label", this.summary(values));
    this.svg.replaceChildren(...parts);
    say(this.now, this.words(values));
  }

  * frame(x, y, top, width, height) {
    for (const value of top ? [0, top / 2, top] : [0]) {
      yield s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: Math.round(y(value)), y2: Math.round(y(value)) });
      yield s("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, value ? this.tell(value) : "0");
    }
    const last = this.past.steps.length - 1;
    const pieces = width > 420 ? 4 : 2;
    for (let piece = 0; piece <= pieces; piece += 1) {
      const at = Math.round((piece / pieces) * last);
      const anchor = piece === 0 ? "start" : piece === pieces ? "end" : "middle";
      yield s("text", { x: x(at), y: height - 3, "text-anchor": anchor }, this.when(at));
    }
  }

  * line(values, number, x, y) {
    const pieces = [];
    let open = [];
    values.forEach((value, at) => {
      if (value === null) { if (open.length) pieces.push(open); open = []; }
      else open.push([x(at), y(value)]);
    });
    if (open.length) pieces.push(open);
    const second = number ? " second" : "";
    for (const piece of pieces) {
      const path = `M${piece.map(([left, top]) => `${left.toFixed(1)} ${top.toFixed(1)}`).join("L")}`;
      if (this.area && !number) yield s("path", { class: "area", d: `${path}V${y(0)}H${piece[0][0].toFixed(1)}Z` });
      if (piece.length === 1) yield s("circle", { class: `dot${second}`, cx: piece[0][0], cy: piece[0][1], r: 2 });
      else yield s("path", { class: `series${second}`, d: path });
    }
  }

  * mark(values, x, y, height) {
    const left = Math.round(x(this.at));
    yield s("line", { class: "mark", x1: left, x2: left, y1: TOP, y2: height - BOTTOM });
    for (const [number, line] of values.entries()) {
      const value = line[this.at];
      if (value !== null) yield s("circle", { class: `dot${number ? " second" : ""}`, cx: left, cy: y(value), r: 3.5 });
    }
  }

  when(at) {
    const ms = this.past.from_ms + at * this.past.step_ms;
    return clock(ms, this.past.step_ms > 60000);
  }

  value(values, at) {
    return this.series.map((each, number) => {
      const value = values[number][at];
      return `${each.name} ${value === null ? "–" : this.tell(value)}`;
    }).join(", ");
  }

  words(values) {
    if (this.at !== null) return `${this.when(this.at)}: ${this.value(values, this.at)}`;
    const most = Math.max(...values[0].map((value) => value ?? 0));
    return most ? `at most ${this.tell(most)}` : "nothing yet";
  }

  summary(values) {
    const last = values[0].findLastIndex((value) => value !== null);
    const told = last < 0 ? "no figures yet" : `last, at ${this.when(last)}: ${this.value(values, last)}`;
    const chosen = this.at === null ? "" : ` Chosen, ${this.words(values)}.`;
    return `${this.title}: ${told}.${chosen} Arrow keys go through the times.`;
  }

  fillTable() {
    if (!this.details.open || !this.past) return;
    const values = this.series.map((each) => this.past.steps.map(each.of));
    const rows = this.past.steps.map((_, at) => h("tr", {}, h("th", { scope: "row" }, this.when(at)),
      values.map((line) => h("td", { class: "number" }, line[at] === null ? "–" : this.tell(line[at])))));
    this.rows.replaceChildren(...rows.reverse());
  }
}

const key = (each, number) => h("span", {},
  s("svg", { viewBox: "0 0 21 8", "aria-hidden": "true" }, s("path", { class: `series${number ? " second" : ""}`, d: "M1 4h19" })), each.name);

export function niceTop(most) {
  if (!most) return 0;
  const unit = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 4, 5, 6, 8, 10].map((step) => step * unit).find((top) => top >= most);
}
