// One chart: lines over time, drawn here. Its table says the same in words.

import { h, mark, s, say } from "./dom.js";
import { clock, day } from "./format.js";

const LEFT = 46;
const BOTTOM = 18;
const TOP = 6;
const RIGHT = 4;
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };
const MOST_TICKS = 8;
const EDGE = 18;
const ROUND_MIN = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880];
const DAY_MS = 24 * 3600 * 1000;

export class Plot {
  // `series` are [{name, of(step), tone}], the first in the accent colour; `tell` writes a value.
  // `chosen` is told which time a pointer or a key has chosen: other charts show the same one.
  constructor(title, series, tell, { area = false, chosen = () => {} } = {}) {
    Object.assign(this, { title, series, tell, area, chosen });
    this.at = null;
    this.now = h("p", { class: "chart-now" });
    // As a slider a screen reader leaves the arrow keys to it, and says the value that they choose.
    this.svg = s("svg", { role: "slider", "aria-roledescription": "chart", "aria-label": title, "aria-valuemin": "0", tabindex: "0" });
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
      const step = STEPS[event.key];
      if (!step || !this.past) return;
      event.preventDefault();
      const last = this.past.steps.length - 1;
      this.choose(Math.min(last, Math.max(0, (this.at ?? last + 1) + step)));
    });
  }

  show(past) {
    if (this.at >= past.steps.length) this.at = null;
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
    this.chosen(at);
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
    for (let number = values.length - 1; number >= 0; number -= 1) parts.push(...this.line(values[number], number, x, y));
    if (this.at !== null) parts.push(...this.mark(values, x, y, height));
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.tellKeys(values);
    this.svg.replaceChildren(...parts);
    say(this.now, this.words(values));
  }

  * frame(x, y, top, width, height) {
    for (const value of levels(top)) {
      yield s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: Math.round(y(value)), y2: Math.round(y(value)) });
      yield s("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, value ? this.tell(value) : "0");
    }
    for (const at of this.ticks(width > 420 ? MOST_TICKS : MOST_TICKS / 2)) {
      const left = Math.round(x(at));
      const anchor = left < LEFT + EDGE ? "start" : left > width - EDGE ? "end" : "middle";
      yield s("line", { class: "grid upright", x1: left, x2: left, y1: TOP, y2: height - BOTTOM });
      yield s("text", { x: left, y: height - 3, "text-anchor": anchor }, this.tickWords(at));
    }
  }

  // Where a round time begins, of the finest kind that there are at most so many of.
  ticks(most) {
    const { from_ms, step_ms, steps } = this.past;
    const minutes = steps.map((_, at) => localMinute(from_ms + at * step_ms));
    for (const every of ROUND_MIN) {
      const part = minutes.map((minute) => Math.floor(minute / every));
      const found = part.flatMap((each, at) => ((at ? each !== part[at - 1] : minutes[0] % every === 0) ? [at] : []));
      if (found.length <= most) return found;
    }
    return [];
  }

  tickWords(at) {
    const { from_ms, step_ms, steps } = this.past;
    return step_ms * steps.length > DAY_MS ? day(from_ms + at * step_ms) : this.when(at);
  }

  * line(values, number, x, y) {
    const pieces = [];
    let open = [];
    values.forEach((value, at) => {
      if (value === null) { if (open.length) pieces.push(open); open = []; }
      else open.push([x(at), y(value)]);
    });
    if (open.length) pieces.push(open);
    const second = this.tone(number);
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
      if (value !== null) yield s("circle", { class: `dot${this.tone(number)}`, cx: left, cy: y(value), r: 3.5 });
    }
  }

  tone(number) {
    return number ? ` ${this.series[number].tone ?? "second"}` : "";
  }

  when(at) {
    const { from_ms, step_ms, steps } = this.past;
    return clock(from_ms + at * step_ms, step_ms * steps.length > DAY_MS);
  }

  value(values, at) {
    return this.series.map((each, number) => {
      const value = values[number][at];
      return `${each.name} ${value === null ? "–" : this.tell(value)}`;
    }).join(", ");
  }

  words(values) {
    if (this.at !== null) return `${this.when(this.at)}: ${this.value(values, this.at)}`;
    const last = values[0].findLastIndex((value) => value !== null);
    const most = Math.max(...values[0].map((value) => value ?? 0));
    return most ? `last ${this.tell(values[0][last])}, at most ${this.tell(most)}` : "nothing yet";
  }

  tellKeys(values) {
    const last = values[0].findLastIndex((value) => value !== null);
    const at = this.at ?? Math.max(0, last);
    mark(this.svg, "aria-valuemax", this.past.steps.length - 1);
    mark(this.svg, "aria-valuenow", at);
    mark(this.svg, "aria-valuetext", this.at === null && last < 0 ? "no figures yet" : `${this.when(at)}: ${this.value(values, at)}`);
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
  s("svg", { viewBox: "0 0 21 8", "aria-hidden": "true" }, s("path", { class: `series${number ? ` ${each.tone ?? "second"}` : ""}`, d: "M1 4h19" })), each.name);

const localMinute = (ms) => Math.round(ms / 60000) - new Date(ms).getTimezoneOffset();

// Round tops, and in how many parts they make round values.
const PARTS = [[1, 2], [2, 2], [4, 4], [5, 5], [6, 3], [8, 4], [10, 5]];

const unitOf = (most) => 10 ** Math.floor(Math.log10(most));

export function niceTop(most) {
  return most ? PARTS.map(([step]) => step * unitOf(most)).find((top) => top >= most) : 0;
}

function levels(top) {
  if (!top) return [0];
  const parts = new Map(PARTS).get(Math.round(top / unitOf(top)));
  return Array.from({ length: parts + 1 }, (_, part) => (top * part) / parts);
}
