// A line of a few pixels, such as the tokens of each hour of a week. The number beside it says it in words.

import { mark, s } from "./dom.js";

const WIDTH = 84;
const HEIGHT = 16;

export function spark() {
  const area = s("path", { class: "area" });
  const line = s("path", {});
  const node = s("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, area, line);
  return {
    node,
    update(values) {
      const sums = inPieces(values, 42);
      const most = Math.max(...sums, 0);
      const points = most && sums.length > 1 ? sums.map((sum, at) =>
        `${((at / (sums.length - 1)) * WIDTH).toFixed(1)} ${(HEIGHT - 1 - (sum / most) * (HEIGHT - 2)).toFixed(1)}`) : [];
      mark(line, "d", points.length ? `M${points.join("L")}` : `M0 ${HEIGHT - 1}H${WIDTH}`);
      mark(area, "d", points.length ? `M0 ${HEIGHT}L${points.join("L")}L${WIDTH} ${HEIGHT}Z` : "");
    },
  };
}

function inPieces(values, pieces) {
  const size = Math.max(1, Math.ceil(values.length / pieces));
  const sums = [];
  for (let at = 0; at < values.length; at += size) {
    sums.push(values.slice(at, at + size).reduce((all, each) => all + each, 0));
  }
  return sums;
}
