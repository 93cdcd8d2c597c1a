/** Charts as SVG, drawn in real pixels so that text and lines stay as thin as they are meant. */

import { digits, draw } from "./elements.js";

const LEFT = 34;
const BOTTOM = 16;
const TOP = 6;
const RIGHT = 4;

/** Round values of an axis that reaches at least `high`. */
export function ticks(high, about = 3, low = 0) {
  const span = Math.max(high - low, 1e-9);
  const magnitude = 10 ** Math.floor(Math.log10(span / about));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * magnitude).find((s) => span / s <= about) ?? span;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => +((first + i) * step).toPrecision(6));
}

/** The frame of a chart: its size, its scales, its lines and labels. */
function frame(svg, { x, y, xLabels, yLabel }) {
  const box = svg.getBoundingClientRect();
  const width = Math.max(box.width, 120);
  const height = Math.max(box.height, 60);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const [x0, x1] = x;
  const [y0, y1] = [y[0], y[y.length - 1]];
  const px = (value) => LEFT + ((value - x0) / (x1 - x0)) * (width - LEFT - RIGHT);
  const py = (value) => height - BOTTOM - ((value - y0) / (y1 - y0)) * (height - BOTTOM - TOP);
  const parts = y.flatMap((value) => [
    draw("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: py(value), y2: py(value) }),
    draw("text", { class: "tick", x: LEFT - 5, y: py(value) + 3.5, "text-anchor": "end" }, yLabel(value)),
  ]);
  for (const [value, text, anchor] of xLabels)
    parts.push(draw("text", { class: "tick", x: px(value), y: height - 3, "text-anchor": anchor }, text));
  svg.replaceChildren(...parts);
  return { px, py, width, height };
}

const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

const PAST = (reachS) => ({
  x: [-reachS, 0],
  xLabels: [
    [-reachS, reachS < 120 ? `${reachS} s ago` : `${reachS / 60} min ago`, "start"],
    [0, "now", "end"],
  ],
});

/**
 * Lines over time.
 * @param {SVGElement} svg
 * @param {number[]} agoS seconds before now, negative
 * @param {{values: (number|null)[], look: string}[]} lines a gap where there is no value
 * @param {number} reachS
 */
export function timeLines(svg, agoS, lines, reachS) {
  const values = lines.flatMap((line) => line.values).filter((v) => v !== null);
  const high = values.length ? Math.max(...values, 1e-3) : 1;
  const { px, py } = frame(svg, { ...PAST(reachS), y: ticks(1.05 * high), yLabel: digits });
  for (const { values, look } of lines) {
    const pieces = [[]];
    values.forEach((value, i) => {
      if (value === null) pieces.push([]);
      else pieces[pieces.length - 1].push([px(agoS[i]), py(value)]);
    });
    for (const piece of pieces.filter((points) => points.length)) {
      if (look.includes("filled") && piece.length > 1) {
        const ends = [[piece[piece.length - 1][0], py(0)], [piece[0][0], py(0)]];
        svg.append(draw("path", { class: `under ${look}`, d: `${path([...piece, ...ends])}Z` }));
      }
      if (piece.length > 1) svg.append(draw("path", { class: `line ${look}`, d: path(piece) }));
      else svg.append(draw("circle", { class: `point ${look}`, cx: piece[0][0], cy: piece[0][1], r: 2 }));
    }
  }
}

/**
 * Shares of a whole over time, one upon the other.
 * @param {SVGElement} svg
 * @param {number[]} agoS
 * @param {{look: string, shares: (number|null)[]}[]} layers from the bottom up; null where nothing was counted
 * @param {number} reachS
 */
export function timeShares(svg, agoS, layers, reachS) {
  const { px, py } = frame(svg, { ...PAST(reachS), y: [0, 0.5, 1], yLabel: (v) => `${100 * v} %` });
  const base = agoS.map(() => 0);
  for (const { look, shares } of layers) {
    let run = [];
    const close = () => {
      if (run.length > 1) {
        const low = run.map((i) => [px(agoS[i]), py(base[i])]).reverse();
        const high = run.map((i) => [px(agoS[i]), py(base[i] + shares[i])]);
        svg.append(draw("path", { class: `area ${look}`, d: `${path([...high, ...low])}Z` }));
      }
      run = [];
    };
    shares.forEach((share, i) => (share === null ? close() : run.push(i)));
    close();
    shares.forEach((share, i) => (base[i] += share ?? 0));
  }
}

/**
 * Points that are choices, the one that is taken marked.
 * @param {SVGElement} svg
 * @param {{x: number, y: number, name: string, look: string, taken: boolean, hollow: boolean}[]} points by x
 * @param {{floor: number|null, unit: string}} options
 */
export function front(svg, points, { floor, unit }) {
  const ys = [...points.map((p) => p.y), ...(floor === null ? [] : [floor])];
  const margin = Math.max(0.004, 0.12 * (Math.max(...ys) - Math.min(...ys)));
  const y = ticks(Math.min(1, Math.max(...ys) + margin), 4, Math.max(0, Math.min(...ys) - margin));
  const xs = ticks(1.04 * Math.max(...points.map((p) => p.x)), 4);
  const { px, py, width } = frame(svg, {
    x: [0, xs[xs.length - 1]],
    xLabels: [...xs.slice(0, -1).map((v) => [v, digits(v), "middle"]), [xs[xs.length - 1], unit, "end"]],
    y,
    yLabel: (v) => String(+v.toFixed(3)),
  });
  if (floor !== null)
    svg.append(draw("line", { class: "line cap", x1: LEFT, x2: width - RIGHT, y1: py(floor), y2: py(floor) }));
  svg.append(draw("path", { class: "line quiet", d: path(points.map((p) => [px(p.x), py(p.y)])) }));
  for (const point of points) {
    const [cx, cy] = [px(point.x), py(point.y)];
    if (point.taken) svg.append(draw("circle", { class: "ring", cx, cy, r: 9 }));
    svg.append(draw("circle", { class: `choice ${point.look}${point.hollow ? " hollow" : ""}`, cx, cy, r: 4.5 }, draw("title", {}, point.name)));
    if (point.taken) {
      const nearEnd = cx > width - 60;
      svg.append(draw("text", { class: "mark", x: cx + (nearEnd ? -13 : 13), y: cy + 15, "text-anchor": nearEnd ? "end" : "start" }, point.name));
    }
  }
}

/**
 * The channels of one window as thin lines on one scale.
 * @param {SVGElement} svg its viewBox is 100 by 28
 * @param {number[][]} channels
 */
export function waves(svg, channels) {
  const all = channels.flat();
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const scale = 24 / (high - low || 1);
  svg.replaceChildren(
    ...channels.map((values, i) =>
      draw("path", { class: `wave w${i % 3}`, d: path(values.map((v, t) => [(100 * t) / Math.max(1, values.length - 1), 26 - (v - low) * scale])) }),
    ),
  );
}
