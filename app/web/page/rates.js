/**
 * From counters to what people look at: rates, shares and quantiles between two readings.
 * Nothing here knows of the page.
 *
 * @typedef {Object<string, any>} Reading what `v1/live` answers
 */

/** How much each counter of a group grew. */
export function growth(before, after) {
  const grown = {};
  for (const [name, value] of Object.entries(after)) grown[name] = Math.max(0, value - (before[name] ?? 0));
  return grown;
}

/** @param {Object<string, number>} group */
export const sum = (group) => Object.values(group).reduce((a, b) => a + b, 0);

/** Whether two readings are of the same run of the same service. */
export const sameRun = (a, b) => a.started_s === b.started_s && b.at_s > a.at_s;

/**
 * Estimate a quantile from counts by upper bound, evenly within each.
 * @param {number[]} bounds ascending
 * @param {number[]} counts one for each bound, then one for what is above all
 * @param {number} q
 * @returns {number|null} null if nothing was counted; the last bound if it lies above
 */
export function quantile(bounds, counts, q) {
  let rank = q * counts.reduce((a, b) => a + b, 0);
  if (rank <= 0) return null;
  for (const [i, bound] of bounds.entries()) {
    if (rank <= counts[i]) {
      const low = i ? bounds[i - 1] : 0;
      return low + ((bound - low) * rank) / counts[i];
    }
    rank -= counts[i];
  }
  return bounds[bounds.length - 1];
}

/**
 * Latency of what was answered between two readings, in seconds.
 * @param {Reading} a @param {Reading} b
 */
export function latency(a, b) {
  const counts = b.latency.counts.map((n, i) => Math.max(0, n - (a.latency.counts[i] ?? 0)));
  const at = (q) => quantile(b.latency.bounds_s, counts, q);
  return { p50: at(0.5), p99: at(0.99), answered: counts.reduce((x, y) => x + y, 0) };
}

/**
 * Windows answered between two readings, by a property of their variants.
 * @param {Reading} a @param {Reading} b
 * @param {(variant: Object<string, any>) => string} property
 * @returns {Map<string, number>}
 */
export function windowsBy(a, b, property) {
  const identity = (v) => `${v.model} ${v.version} ${v.presence_hex} ${v.ratio}`;
  const before = new Map(a.variants.used.map((v) => [identity(v), v.windows]));
  const found = new Map();
  for (const variant of b.variants.used) {
    const grown = variant.windows - (before.get(identity(variant)) ?? 0);
    if (grown <= 0) continue;
    const of = property(variant);
    found.set(of, (found.get(of) ?? 0) + grown);
  }
  return found;
}

/** Budgets that were asked between two readings, and how many were not met. */
export function budgets(a, b) {
  const missed = {};
  let asked = 0;
  for (const [kind, outcomes] of Object.entries(b.budgets)) {
    const grown = growth(a.budgets[kind] ?? {}, outcomes);
    asked += sum(grown);
    missed[kind] = (grown.missed ?? 0) + (grown.refused ?? 0);
  }
  return { asked, missed };
}

/** The last readings, a second or so apart, for as long as the charts reach back. */
export class History {
  /** @param {number} reachS */
  constructor(reachS) {
    this.reachS = reachS;
    /** @type {Reading[]} */
    this.readings = [];
  }

  /** Add a reading; those of an earlier run of the service count no more. @param {Reading} reading */
  add(reading) {
    const last = this.last;
    if (last && reading.at_s === last.at_s) return;
    if (last && !sameRun(last, reading)) this.readings = [];
    this.readings.push(reading);
    while (this.readings[0].at_s < reading.at_s - this.reachS) this.readings.shift();
  }

  get last() {
    return this.readings[this.readings.length - 1];
  }

  /** The reading so many seconds before the one at `index`, or the first there is. */
  before(index, seconds) {
    const from = this.readings[index].at_s - seconds;
    let i = index;
    while (i > 0 && this.readings[i].at_s > from) i -= 1;
    return this.readings[i];
  }
}
