/** Sensors as switches, each beside its part of the window. */

import { waves } from "./charts.js";
import { byId, draw, make, words } from "./elements.js";

const MOST_PLOTS = 4;

/** @type {Map<string, {button: HTMLElement, plots: [SVGElement, number[]][]}>} */
const rows = new Map();

/**
 * Put one switch for each sensor on the page.
 * @param {{name: string, shape: number[], channel_names: string[]}[]} modalities
 * @param {() => void} changed
 */
export function showSensors(modalities, changed) {
  rows.clear();
  byId("sensors").replaceChildren(
    ...modalities.map(({ name, shape, channel_names }, i) => {
      const button = make("button", { type: "button", className: "switch", role: "switch", "aria-checked": "true" }, make("i"), words(name));
      button.addEventListener("click", () => {
        button.setAttribute("aria-checked", String(!isOn(button)));
        changed();
      });
      const plots = groups(shape[1], channel_names).map(([title, channels]) => {
        const plot = draw("svg", { class: "waves", viewBox: "0 0 100 28", preserveAspectRatio: "none", "aria-hidden": "true" });
        const caption = i || !title ? [] : [make("small", {}, title)]; // those below are the same
        return { figure: make("span", { className: "plot", title }, plot, ...caption), plot, channels };
      });
      rows.set(name, { button, plots: plots.map(({ plot, channels }) => [plot, channels]) });
      return make("div", { className: "sensor" }, button, ...plots.map(({ figure }) => figure));
    }),
  );
}

/**
 * Draw the window of each sensor.
 * @param {Object<string, number[][]>|null} inputs rows by sensor; null if there is no window
 */
export function showWindow(inputs) {
  for (const [name, { plots }] of rows) {
    for (const [plot, channels] of plots) {
      const window = inputs?.[name];
      if (window) waves(plot, channels.map((c) => window.map((row) => row[c])));
      else plot.replaceChildren();
    }
  }
}

/** Names of the sensors that are on. */
export const present = () => [...rows].filter(([, row]) => isOn(row.button)).map(([name]) => name);

/** Names of the sensors that are off. */
export const absent = () => [...rows].filter(([, row]) => !isOn(row.button)).map(([name]) => name);

const isOn = (button) => button.getAttribute("aria-checked") === "true";

/** Channels that belong together by their names, such as acc_x and acc_y; all of them if too many. */
function groups(count, names) {
  const all = Array.from({ length: count }, (_, i) => i);
  const found = new Map();
  for (const i of all) {
    const title = names[i]?.replace(/_[^_]*$/, "") ?? "";
    found.set(title, [...(found.get(title) ?? []), i]);
  }
  return found.size > MOST_PLOTS ? [["", all]] : [...found];
}
