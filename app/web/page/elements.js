/** Making parts of the page. Text is always set as text, never read as HTML. */

const SVG = "http://www.w3.org/2000/svg";

/** @param {string} id @returns {HTMLElement} */
export const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * Make an element of HTML.
 * @param {string} tag
 * @param {Object<string, any>} [properties] of the element; `aria-…` and `role` become attributes
 * @param {...(Node|string)} children
 */
export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("aria-") || name === "role" || name === "for") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

/**
 * Make an element of SVG.
 * @param {string} tag
 * @param {Object<string, string|number>} [attributes]
 * @param {...(Node|string)} children
 */
export function draw(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/**
 * Fill a table, with headings for its columns and for each of its rows.
 * @param {HTMLElement} table
 * @param {string[]} head
 * @param {string[][]} rows
 */
export function fillTable(table, head, rows) {
  const cells = (row) =>
    row.map((text, i) => make(i ? "td" : "th", i ? {} : { scope: "row" }, text));
  table.replaceChildren(
    make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells(row)))),
  );
}

/** Set text only if it is another one: what is read aloud is not read again. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Three significant digits, without an exponent. @param {number|null|undefined} x */
export function digits(x) {
  if (x === null || x === undefined || !Number.isFinite(x)) return "–";
  if (x === 0 || Math.abs(x) < 5e-4) return "0";
  if (Math.abs(x) >= 99.95) return Math.round(x).toLocaleString("en");
  return String(+x.toPrecision(3));
}

/** @param {number|null} x from 0 to 1 */
export const percent = (x) => (x === null ? "–" : `${+(100 * x).toPrecision(x >= 0.1 ? 3 : 2)} %`);

/** A name as people write it. @param {string} name */
export const words = (name) => name.replaceAll("_", " ");

/** The colour of a pruning ratio, as a class. @param {number} ratio */
export const shade = (ratio) => `r${Math.min(9, Math.round(10 * ratio))}`;
