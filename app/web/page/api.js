/** Calls to the service, with the key if there is one; what goes wrong comes back in words. */

const KEY = "sentryfuse-key";
const DEADLINE_MS = 20000;
let turnedAway = (/** @type {string} */ _why) => {};

/** What the service, or the lack of one, says about a call that failed. */
export class Problem extends Error {
  /**
   * @param {number} status 0 if nothing answered
   * @param {string} detail one sentence
   * @param {Object<string, any>} facts the other members of the problem
   */
  constructor(status, detail, facts = {}) {
    super(detail);
    this.status = status;
    this.facts = facts;
  }
}

/** Be told when a call needs another key. @param {(why: string) => void} listener */
export function onKeyNeeded(listener) {
  turnedAway = listener;
}

/** @param {string} key */
export const keepKey = (key) => sessionStorage.setItem(KEY, key);

/** @returns {string|null} */
export const heldKey = () => sessionStorage.getItem(KEY);

/** The address of a path, whatever prefix a proxy put before it. @param {string} path */
export const address = (path) => new URL(path, document.baseURI).href;

/**
 * Call the service.
 * @param {string} path relative to the page
 * @param {{method?: string, headers?: Object<string, string>, body?: object, signal?: AbortSignal,
 *   deadlineMs?: number}} [options]
 * @returns {Promise<any>} what it answered
 * @throws {Problem} it refused, or nothing answered; `AbortError` if `signal` said so
 */
export async function call(path, { method, headers, body, signal, deadlineMs } = {}) {
  const key = heldKey();
  const deadline = AbortSignal.timeout(deadlineMs ?? DEADLINE_MS);
  let response;
  let text;
  try {
    response = await fetch(address(path), {
      method: method ?? (body ? "POST" : "GET"),
      headers: {
        ...(body ? { "Content-Type": "application/json" } : {}),
        ...(key ? { "X-API-Key": key } : {}),
        ...headers,
      },
      body: body && JSON.stringify(body),
      cache: "no-store",
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw new DOMException("another call took its place", "AbortError");
    throw new Problem(0, deadline.aborted ? "The server takes too long." : "The server does not answer.");
  }
  const content = parsed(text);
  if (response.ok && content !== null) return content;
  const problem = new Problem(response.status || 502, sentence(response, content), content ?? {});
  if (response.status === 401) turnedAway(problem.message);
  throw problem;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function sentence(response, content) {
  if (!content?.detail) return `The server answered ${response.status} ${response.statusText}.`;
  const said = content.detail[0].toUpperCase() + content.detail.slice(1) + ".";
  const wait = content.retry_after_s;
  return wait ? `${said} Try again in ${Math.ceil(wait)} s.` : said;
}
