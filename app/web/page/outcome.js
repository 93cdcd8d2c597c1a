/** What would run, and what came of it, in words and bars. */

import { Problem } from "./api.js";
import { front } from "./charts.js";
import { byId, digits, fillTable, make, percent, shade, words } from "./elements.js";

const STAGES = [
  ["parse_ms", "reading"],
  ["build_ms", "building"],
  ["queue_ms", "queue"],
  ["batch_wait_ms", "start"],
  ["inference_ms", "inference"],
];
const FLOPS = [[1e9, "GFLOPs"], [1e6, "MFLOPs"], [1e3, "kFLOPs"]];
const UNITS = { latency: "ms", energy: "mJ", power: "W", accuracy: "" };

/** What is drawn again when the page has another width. */
let drawFront = () => {};

/** Draw again what depends on the width of the page. */
export const redraw = () => drawFront();

/**
 * Show a dry run.
 * @param {{plan: Object<string, any>, options: Object<string, any>[]}} run
 * @param {number|null} floor the accuracy that was asked for
 */
export function showPlan({ plan, options }, floor) {
  const { expected } = plan;
  const fits = plan.feasible ? make("em", { className: "tag good" }, "fits") : make("em", { className: "tag bad" }, `concedes ${plan.conceded.join(", ") || "something"}`);
  byId("plan").replaceChildren(
    make("p", { className: "figure" }, make("i", { className: `block ${shade(plan.ratio)}` }), make("b", {}, `ρ ${plan.ratio}`), " ", fits),
    facts([
      ["Accuracy", digits(expected.accuracy)],
      ["Latency", `${digits(expected.latency_ms)} ms`],
      ["Energy", `${digits(expected.energy_mj)} mJ`],
    ]),
    make("p", { className: "reason" }, sentence(plan.reason)),
  );
  const [size, unit] = FLOPS.find(([s]) => options.some((o) => o.flops >= 0.01 * s)) ?? FLOPS[0];
  const points = options
    .map((o) => ({ x: o.flops / size, y: o.expected_accuracy, name: `ρ ${o.ratio}`, look: shade(o.ratio), taken: o.ratio === plan.ratio, hollow: !o.in_memory }))
    .sort((a, b) => a.x - b.x);
  drawFront = () => front(byId("front-chart"), points, { floor, unit });
  drawFront();
  fillTable(
    byId("front-table"),
    ["", unit, "Accuracy", "ms", "mJ", "in memory", "chosen"],
    options.map((o) => [`ρ ${o.ratio}`, digits(o.flops / size), digits(o.expected_accuracy), digits(o.latency_ms), digits(o.energy_mj), o.in_memory ? "yes" : "no", o.ratio === plan.ratio ? "yes" : ""]),
  );
}

/**
 * Show an answer with its receipt.
 * @param {Object<string, any>} answer
 * @param {string} drawnAs the class that the window was made to look like
 */
export function showAnswer(answer, drawnAs) {
  const [prediction] = answer.predictions;
  const { receipt } = answer;
  const right = prediction.label === drawnAs;
  const rest = Math.max(0, 1 - prediction.top.reduce((total, guess) => total + guess.probability, 0));
  const guesses = [...prediction.top, { label: "all others", probability: rest }];
  const met = Object.keys(receipt.budget).length === 0 ? make("em", { className: "tag" }, "no budget asked") : receipt.met ? make("em", { className: "tag good" }, "budget met") : make("em", { className: "tag bad" }, "budget missed");
  byId("answer").replaceChildren(
    make("h3", {}, "Answer"),
    make("p", { className: "figure" }, make("b", {}, words(prediction.label)), " ", make("span", {}, right ? "as it was drawn" : `drawn as ${words(drawnAs)}`)),
    make("ul", { className: "bars" }, ...guesses.map(bar)),
    make("h3", {}, "Receipt ", met),
    facts([
      ["Took", `${digits(receipt.total_ms)} ms`],
      ["Energy", `${digits(receipt.energy_mj)} mJ`, `${receipt.energy_quality}, ${receipt.energy_source}`],
      ["Ran", `ρ ${answer.plan.ratio}`],
    ]),
    ...(receipt.missed_because ? [make("p", { className: "reason" }, sentence(receipt.missed_because))] : []),
    stages(receipt),
    ...budgets(receipt.budget),
  );
}

/** Say in words what went wrong. @param {HTMLElement} place @param {Problem} problem */
export function showProblem(place, problem) {
  const title = problem.facts.title ? `${problem.facts.title}. ` : "";
  place.replaceChildren(make("p", { className: "problem" }, make("b", {}, title), problem.message));
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`.replace(/\brho\b/i, "ρ");

const facts = (rows) =>
  make("dl", { className: "facts" }, ...rows.map(([name, value, more]) => make("div", {}, make("dt", {}, name), make("dd", {}, value, ...(more ? [make("small", {}, ` ${more}`)] : [])))));

function bar({ label, probability }) {
  const fill = make("i");
  fill.style.width = `${100 * probability}%`;
  return make("li", {}, make("span", {}, words(label)), make("span", { className: "track" }, fill), make("span", {}, percent(probability)));
}

function stages(receipt) {
  const parts = STAGES.map(([name, text]) => [text, receipt[name]]);
  const named = parts.reduce((total, [, value]) => total + value, 0);
  parts.push(["answering", Math.max(0, receipt.total_ms - named)]);
  const shown = parts.filter(([, value]) => value >= 0.005 * receipt.total_ms);
  const segments = shown.map(([, value], i) => {
    const part = make("i", { className: `s${i}` });
    part.style.width = `${(100 * value) / receipt.total_ms}%`;
    return part;
  });
  return make(
    "div",
    {},
    make("div", { className: "stack", "aria-hidden": "true" }, ...segments),
    make("p", { className: "small" }, ...shown.map(([text, value], i) => make("span", { className: "key" }, make("i", { className: `s${i}` }), `${text} ${digits(value)} ms`))),
  );
}

function budgets(budget) {
  const rows = Object.entries(budget).map(([kind, { met, ...figures }]) => {
    const unit = UNITS[kind] ? ` ${UNITS[kind]}` : "";
    const [asked, spent] = Object.values(figures);
    return [kind, `${digits(asked)}${unit}`, `${digits(spent)}${unit}`, met ? "met" : "missed"];
  });
  if (!rows.length) return [];
  const table = make("table");
  fillTable(table, ["", "asked", "spent", ""], rows);
  return [table];
}
