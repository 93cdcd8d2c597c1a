/** The half of the page to try things with: what is asked, planned, sent and answered. */

import { address, call, heldKey, Problem } from "./api.js";
import { budgetHeaders, floor, reachAround, showBudgets } from "./budgets.js";
import { byId, make, words } from "./elements.js";
import { redraw, showAnswer, showPlan, showProblem } from "./outcome.js";
import { absent, present, showSensors, showWindow } from "./sensors.js";

const PAUSE_MS = 120; // after a move, before the plan is asked for

/** What is being tried; sensors and budgets are where their switches and sliders are. */
const trial = {
  model: "",
  seed: 1,
  /** @type {Object<string, any>|null} */
  sample: null,
};
const model = /** @type {HTMLSelectElement} */ (byId("model"));
const label = /** @type {HTMLSelectElement} */ (byId("label"));
let listed = "";
let idleW = 0;
let planning = new AbortController();
let drawing = new AbortController();
let timer = 0;

/** Make the controls work. */
export function start() {
  showBudgets(moved);
  byId("play").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  model.addEventListener("change", () => attempt(choose));
  label.addEventListener("change", () => attempt(drawSample));
  byId("again").addEventListener("click", () => {
    trial.seed += 1;
    attempt(drawSample);
  });
  byId("copy").addEventListener("click", copy);
  new ResizeObserver(redraw).observe(byId("front-chart"));
}

/**
 * Take in what is served now, each time it has changed.
 * @param {Object<string, any>} reading
 */
export function follow(reading) {
  idleW = reading.power.idle_w;
  const ready = reading.models.filter((m) => m.ready);
  const names = ready.map((m) => `${m.name}/${m.version}`).join();
  if (names === listed || !ready.length) return;
  listed = names;
  const chosen = ready.some((m) => m.name === model.value) ? model.value : ready[0].name;
  model.replaceChildren(...ready.map((m) => make("option", { value: m.name, selected: m.name === chosen }, m.name)));
  attempt(choose);
}

/** Forget what could not be read, so that it is read again. */
export function retry() {
  listed = "";
}

const path = (rest) => `v1/models/${encodeURIComponent(trial.model)}${rest}`;

/** Do something that may fail, and say above the playground if it did. */
async function attempt(task) {
  byId("play-problem").textContent = "";
  try {
    await task();
  } catch (error) {
    if (!(error instanceof Problem)) {
      if (error.name !== "AbortError") throw error;
      return;
    }
    byId("play-problem").textContent = error.message;
    if (error.status === 0 || error.status === 401) retry();
  }
}

async function choose() {
  trial.model = model.value;
  const details = await call(path(""));
  showSensors(details.modalities, moved);
  label.replaceChildren(make("option", { value: "" }, "anything"), ...details.classes.map((name) => make("option", { value: name }, words(name))));
  const run = await call(path("/plan"), { body: {} });
  reachAround(run.options, idleW);
  await Promise.all([plan(), drawSample()]);
}

async function drawSample() {
  drawing.abort();
  drawing = new AbortController();
  trial.sample = null;
  byId("answer").replaceChildren();
  try {
    trial.sample = await call(path(`/sample?${sampleQuery()}`), { signal: drawing.signal });
    byId("sample-note").textContent = `A simulated window of “${words(trial.sample.label)}”, number ${trial.seed}.`;
    showWindow(trial.sample.inputs);
  } catch (error) {
    if (error instanceof Problem) showWindow(null);
    throw error;
  } finally {
    showCurl();
  }
}

function sampleQuery(missing = []) {
  const query = new URLSearchParams({ seed: String(trial.seed) });
  if (label.value) query.set("label", label.value);
  if (missing.length) query.set("missing", missing.join(","));
  return String(query).replaceAll("%2C", ",");
}

/** After a move: the answer is of another question now, and the plan may be another. */
function moved() {
  byId("answer").replaceChildren();
  showCurl();
  clearTimeout(timer);
  timer = setTimeout(plan, PAUSE_MS);
}

async function plan() {
  planning.abort();
  const mine = (planning = new AbortController());
  const place = byId("plan");
  place.setAttribute("aria-busy", "true");
  try {
    const run = await call(path("/plan"), { body: { present: present() }, headers: budgetHeaders(), signal: mine.signal });
    showPlan(run, floor());
  } catch (error) {
    if (error.name === "AbortError") return;
    showProblem(place, error);
  } finally {
    if (mine === planning) place.setAttribute("aria-busy", "false");
  }
}

async function send() {
  const place = byId("answer");
  if (!trial.sample) return;
  const off = absent();
  const inputs = Object.fromEntries(Object.entries(trial.sample.inputs).map(([name, rows]) => [name, off.includes(name) ? null : rows]));
  byId("send").setAttribute("aria-disabled", "true");
  try {
    const answer = await call(path("/infer"), { body: { inputs, id: trial.sample.id }, headers: budgetHeaders() });
    showAnswer(answer, trial.sample.label);
  } catch (error) {
    showProblem(place, error);
  } finally {
    byId("send").setAttribute("aria-disabled", "false");
  }
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Write the command that asks just this. */
function showCurl() {
  const key = heldKey() ? ` -H "X-API-Key: $SENTRYFUSE_KEY"` : "";
  const headers = Object.entries({ "Content-Type": "application/json", ...budgetHeaders() });
  byId("curl").textContent = [
    `curl -s${key} ${quoted(address(path(`/sample?${sampleQuery(absent())}`)))} |`,
    `  curl -s${key} ${quoted(address(path("/infer")))} -d @- \\`,
    headers.map(([name, value]) => `    -H ${quoted(`${name}: ${value}`)}`).join(" \\\n"),
  ].join("\n");
}

async function copy() {
  const text = byId("curl");
  try {
    await navigator.clipboard.writeText(text.textContent);
    byId("copied").textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(text); // no clipboard without TLS: select it, to be copied by hand
    byId("copied").textContent = "Selected: copy it with your keyboard.";
  }
}
