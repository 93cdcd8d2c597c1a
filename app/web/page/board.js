/** The live half of the page: what the service does now and did in the last two minutes. */

import { timeLines, timeShares } from "./charts.js";
import { byId, digits, fillTable, make, percent, say, shade, words } from "./elements.js";
import * as rates from "./rates.js";

const REACHES_S = [30, 60, 120]; // how far charts go back: as far as there is something to show
const REACH_S = REACHES_S[REACHES_S.length - 1];
const SMOOTH_S = 5; // quantiles and shares are of so many seconds, or they would be of few requests
const RECENT_S = 60; // what the tiles count
const TABLE_STEP_S = 10;

const history = new rates.History(REACH_S);
const ms = (seconds) => (seconds === null ? null : 1e3 * seconds);

/** Show one more reading. @param {Object<string, any>} reading */
export function show(reading) {
  history.add(reading);
  about(reading);
  draw();
  tiles(reading, history.before(history.readings.length - 1, RECENT_S));
}

/** Draw the charts; again when the page has another width. */
export function draw() {
  const { readings, last } = history;
  if (!last) return;
  const points = readings.map((reading, i) => {
    const before = history.before(i, SMOOTH_S);
    const byRatio = rates.windowsBy(before, reading, (v) => String(v.ratio));
    return {
      ago: reading.at_s - last.at_s,
      power: reading.power.now_w,
      cap: reading.power.cap_w,
      ...rates.latency(before, reading),
      byRatio,
      windows: [...byRatio.values()].reduce((a, b) => a + b, 0),
    };
  });
  const ago = points.map((point) => point.ago);
  const reachS = REACHES_S.find((reach) => reach >= -ago[0]) ?? REACH_S;
  const spaced = points.filter((_, i) => (points.length - 1 - i) % TABLE_STEP_S === 0).reverse();
  const when = (point) => (point.ago ? `${Math.round(-point.ago)} s ago` : "now");
  power(last.power, points, { ago, reachS, spaced, when });
  latency(points, { ago, reachS, spaced, when });
  mix(points, { ago, reachS, spaced, when });
}

function power(now, points, { ago, reachS, spaced, when }) {
  say(byId("power-now"), `${digits(now.now_w)} W`);
  say(byId("power-cap"), now.cap_w === null ? "no cap" : `of ${digits(now.cap_w)} W`);
  say(byId("power-quality"), now.quality);
  const lines = [{ values: points.map((p) => p.power), look: "filled main" }];
  if (points.some((p) => p.cap !== null)) lines.push({ values: points.map((p) => p.cap), look: "cap" });
  timeLines(byId("power-chart"), ago, lines, reachS);
  fillTable(byId("power-table"), ["", "Power, W", "Cap, W"], spaced.map((p) => [when(p), digits(p.power), digits(p.cap)]));
}

function latency(points, { ago, reachS, spaced, when }) {
  const now = points[points.length - 1];
  const last = history.last;
  const before = history.before(points.length - 1, SMOOTH_S);
  const rate = last.at_s > before.at_s ? now.answered / (last.at_s - before.at_s) : 0;
  say(byId("latency-now"), now.p50 === null ? "–" : `${digits(ms(now.p50))} ms`);
  say(
    byId("latency-more"),
    now.p50 === null ? "nothing asked just now" : `p50 · p99 ${digits(ms(now.p99))} ms · ${digits(rate)}/s`,
  );
  const lines = [
    { values: points.map((p) => ms(p.p99)), look: "second" },
    { values: points.map((p) => ms(p.p50)), look: "main" },
  ];
  timeLines(byId("latency-chart"), ago, lines, reachS);
  fillTable(byId("latency-table"), ["", "p50, ms", "p99, ms"], spaced.map((p) => [when(p), digits(ms(p.p50)), digits(ms(p.p99))]));
}

function mix(points, { ago, reachS, spaced, when }) {
  const ratios = [...new Set(points.flatMap((p) => [...p.byRatio.keys()]))].sort((a, b) => +a - +b);
  const share = (p, ratio) => (p.windows ? (p.byRatio.get(ratio) ?? 0) / p.windows : null);
  const now = points[points.length - 1];
  const leading = ratios.toSorted((a, b) => (now.byRatio.get(b) ?? 0) - (now.byRatio.get(a) ?? 0))[0];
  say(byId("mix-now"), now.windows ? `ρ ${leading}` : "–");
  const more = byId("mix-more");
  const legend = ratios.map((ratio) => make("span", { className: "key" }, make("i", { className: shade(+ratio) }), ratio));
  if (more.dataset.of !== ratios.join()) more.replaceChildren(...legend);
  more.dataset.of = ratios.join();
  const layers = ratios.map((ratio) => ({ look: shade(+ratio), shares: points.map((p) => share(p, ratio)) }));
  timeShares(byId("mix-chart"), ago, layers, reachS);
  fillTable(
    byId("mix-table"),
    ["", ...ratios.map((ratio) => `ρ ${ratio}`)],
    spaced.map((p) => [when(p), ...ratios.map((ratio) => percent(share(p, ratio)))]),
  );
}

function about(reading) {
  byId("dot").className = `dot ${reading.status}`;
  say(byId("phase"), reading.status);
  const models = reading.models.map((m) => `${m.name} v${m.version}`).join(", ");
  const up = reading.started_s ? ` · up ${lasting(Date.now() / 1e3 - reading.started_s)}` : "";
  const several = reading.processes > 1 ? ` · ${reading.processes} processes` : "";
  say(byId("about"), reading.because.length ? reading.because.join("; ") : `${models}${several}${up} · ${reading.version}`);
}

function tiles(now, before) {
  const since = now.at_s - before.at_s;
  const span = since >= RECENT_S - 2 ? "last minute" : `last ${Math.round(since)} s`;
  const tile = (name, text, more) => {
    say(byId(name), text);
    say(byId(`${name}-more`), more);
  };
  const { asked, missed } = rates.budgets(before, now);
  const kinds = Object.entries(missed).filter(([, n]) => n);
  tile(
    "missed",
    asked ? percent(rates.sum(missed) / asked) : "–",
    asked ? `of ${digits(asked)} asked, ${kinds.map(([k, n]) => `${k} ${n}`).join(", ") || "none missed"}; ${span}` : `none asked; ${span}`,
  );
  const shed = rates.growth(before.shed, now.shed);
  const reasons = Object.entries(shed).filter(([, n]) => n);
  tile("shed", digits(rates.sum(shed)), `${reasons.map(([r, n]) => `${words(r)} ${n}`).join(", ") || "no request refused"}; ${span}`);
  tile("waiting", digits(now.queue_depth), `for a core; ${digits(now.streams_open)} streams; ×${digits(now.slowdown.latency)} the quiet latency`);
  tile("cache", percent(cacheRatio(now.mask_cache)), cacheWords(now));
  const joules = now.power.energy_j;
  tile("energy", energy(rates.sum(joules)), Object.entries(joules).map(([use, j]) => `${use} ${energy(j)}`).join(", "));
  const faults = rates.sum(now.power.faults);
  tile(
    "meter",
    now.power.source,
    `${now.power.quality}, of the ${now.power.covers}; ${faults ? `${faults} odd readings` : "no odd reading"}${now.power.failovers ? `, ${now.power.failovers} failovers` : ""}`,
  );
}

/** Share of masks that some tier had; the gate, which makes them, is none. */
function cacheRatio(tiers) {
  const hits = Object.entries(tiers).filter(([tier]) => tier !== "gate").reduce((n, [, o]) => n + (o.hit ?? 0), 0);
  const all = hits + (tiers.gate?.hit ?? 0);
  return all ? hits / all : null;
}

function cacheWords(now) {
  const tiers = Object.entries(now.mask_cache).map(([tier, o]) => `${tier} ${digits(o.hit ?? 0)}`);
  const redis = { true: "; Redis left alone", false: "; Redis well" }[now.redis_breaker_open] ?? "";
  return `${tiers.join(", ") || "nothing looked up"}${redis}; ${now.variants.in_memory} variants built`;
}

const energy = (joules) => (joules < 1000 ? `${digits(joules)} J` : `${digits(joules / 3600)} Wh`);

function lasting(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}
