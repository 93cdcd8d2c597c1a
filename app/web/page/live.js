/** Reading the service once a second while somebody looks, and patiently while it is away. */

import { Problem } from "./api.js";

const PERIOD_MS = 1000;
const LONGEST_WAIT_MS = 10000;

/**
 * Read again and again; nothing is read while the page is hidden.
 * @param {object} parts
 * @param {() => Promise<any>} parts.read
 * @param {(reading: any) => void} parts.show
 * @param {(problem: Problem|null, waitMs: number) => void} parts.tell of a failure, and with null of its end
 * @returns {{now: () => void}} lets it read at once
 */
export function watch({ read, show, tell }) {
  let failures = 0;
  let reading = false;
  let timer = 0;

  async function turn() {
    clearTimeout(timer);
    if (document.hidden || reading) return;
    reading = true;
    let waitMs = PERIOD_MS;
    try {
      const found = await read();
      if (failures) tell(null, 0);
      failures = 0;
      show(found);
    } catch (error) {
      if (!(error instanceof Problem)) console.error(error);
      failures += 1;
      waitMs = Math.min(PERIOD_MS * 2 ** (failures - 1), LONGEST_WAIT_MS);
      tell(error, waitMs);
    }
    reading = false;
    timer = setTimeout(turn, waitMs);
  }

  document.addEventListener("visibilitychange", turn);
  window.addEventListener("online", turn);
  turn();
  return { now: turn };
}
