/** Puts the page together. */

import { call, keepKey, onKeyNeeded } from "./api.js";
import * as board from "./board.js";
import { byId, say } from "./elements.js";
import { watch } from "./live.js";
import * as playground from "./playground.js";

const DEADLINE_MS = 5000;

const lock = byId("lock");
const key = /** @type {HTMLInputElement} */ (byId("key"));

onKeyNeeded((why) => {
  byId("lock-why").textContent = why;
  if (!lock.hidden) return;
  lock.hidden = false;
  key.focus();
});

playground.start();

const live = watch({
  read: () => call("v1/live", { deadlineMs: DEADLINE_MS }),
  show(reading) {
    lock.hidden = true;
    board.show(reading);
    playground.follow(reading);
  },
  tell(problem, waitMs) {
    document.body.classList.toggle("stale", problem !== null);
    if (problem === null) {
      say(byId("away"), "");
      playground.retry();
      return;
    }
    if (problem.status === 401) return;
    byId("dot").className = "dot away";
    say(byId("phase"), problem.status ? "no reading" : "away");
    say(byId("away"), `${problem.message} ${waitMs >= 4000 ? `Asking again every ${waitMs / 1000} s.` : "Asking again."}`);
  },
});

lock.addEventListener("submit", (event) => {
  event.preventDefault();
  keepKey(key.value.trim());
  key.value = "";
  live.now();
});

new ResizeObserver(board.draw).observe(byId("live"));
