/** What a request may spend: one slider and one number for each budget. */

import { byId, make } from "./elements.js";

const STEPS = 100;

/**
 * @typedef {object} Kind
 * @property {string} id
 * @property {string} name
 * @property {string} unit
 * @property {string} header
 */

/** @type {Kind[]} */
const KINDS = [
  { id: "latency", name: "Latency", unit: "ms", header: "X-Latency-Budget-Ms" },
  { id: "energy", name: "Energy", unit: "mJ", header: "X-Energy-Budget-mJ" },
  { id: "power", name: "Power", unit: "W", header: "X-Power-Budget-W" },
  { id: "accuracy", name: "Accuracy, at least", unit: "", header: "X-Accuracy-Floor" },
];

const round = (x, n) => +x.toPrecision(n);

/** Equal steps are equal factors of what is above `base`; the end of the slider means no limit. */
const factors = (low, high, base = 0) => ({
  any: STEPS,
  at: (step) => round(base + low * (high / low) ** (step / (STEPS - 1)), base ? 4 : 2),
  step: (value) => ((STEPS - 1) * Math.log(Math.max(value - base, low) / low)) / Math.log(high / low),
});

/** Equal steps are equal; the start of the slider means no limit. */
const even = { any: 0, at: (step) => round(step / STEPS, 3), step: (value) => STEPS * value };

/** Sliders that reach around what the variants cost. */
let scales = { latency: factors(1, 100), energy: factors(1, 100), power: factors(0.01, 1, 1), accuracy: even };

/**
 * Put the sliders on the page.
 * @param {() => void} changed called after each move
 */
export function showBudgets(changed) {
  byId("budgets").replaceChildren(...KINDS.map((kind) => row(kind, changed)));
  const strict = byId("strict");
  strict.addEventListener("click", () => {
    strict.setAttribute("aria-checked", String(!isStrict()));
    explainStrict();
    changed();
  });
  explainStrict();
}

/**
 * Let the sliders reach from less than the cheapest variant costs to more than the dearest.
 * @param {{latency_ms: number, energy_mj: number}[]} options
 * @param {number} idleW the node's idle power
 */
export function reachAround(options, idleW) {
  const of = (name) => options.map((option) => option[name]);
  const [latency, energy] = [of("latency_ms"), of("energy_mj")];
  scales = {
    latency: factors(0.5 * Math.min(...latency), 20 * Math.max(...latency)),
    energy: factors(0.5 * Math.min(...energy), 10 * Math.max(...energy)),
    power: factors(5e-4 * Math.min(...energy), 1e-2 * Math.max(...energy), idleW || 1e-3),
    accuracy: even,
  };
  for (const kind of KINDS) follow(kind);
}

/** Headers that say what was set. @returns {Object<string, string>} */
export function budgetHeaders() {
  const headers = {};
  for (const { id, header } of KINDS) if (number(id).value) headers[header] = number(id).value;
  if (isStrict()) headers.Prefer = "handling=strict";
  return headers;
}

/** The accuracy that is asked for, if any. */
export const floor = () => (number("accuracy").value ? Number(number("accuracy").value) : null);

const isStrict = () => byId("strict").getAttribute("aria-checked") === "true";
const number = (id) => /** @type {HTMLInputElement} */ (byId(`${id}-number`));
const slider = (id) => /** @type {HTMLInputElement} */ (byId(`${id}-slider`));

function row(kind, changed) {
  const { id, name, unit } = kind;
  const any = scales[id].any;
  const range = make("input", { id: `${id}-slider`, type: "range", min: 0, max: STEPS, step: 1, value: any, "aria-label": `${name} budget`, "aria-valuetext": "no limit" });
  const exact = make("input", { id: `${id}-number`, type: "number", min: 0, step: "any", placeholder: "any", inputMode: "decimal" });
  range.addEventListener("input", () => {
    const step = Number(range.value);
    exact.value = step === any ? "" : String(scales[id].at(step));
    speak(kind);
    changed();
  });
  exact.addEventListener("input", () => {
    follow(kind);
    changed();
  });
  return make("div", { className: "budget" }, make("label", { for: `${id}-number` }, name), range, make("span", { className: "amount" }, exact, make("small", {}, unit)));
}

/** Move a slider to where its number is. */
function follow(kind) {
  const value = Number(number(kind.id).value);
  const scale = scales[kind.id];
  slider(kind.id).value = value > 0 ? Math.min(STEPS, Math.max(0, Math.round(scale.step(value)))) : scale.any;
  speak(kind);
}

function speak({ id, unit }) {
  const value = number(id).value;
  slider(id).setAttribute("aria-valuetext", value ? `${value} ${unit}` : "no limit");
  slider(id).classList.toggle("any", !value);
}

function explainStrict() {
  byId("strict-means").textContent = isStrict() ? "refused rather than missed" : "off: the best that can be done";
}
