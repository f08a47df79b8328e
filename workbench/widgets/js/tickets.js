// The questions of one view that are still open: which the kernel has, which to send again, how long it has taken.
// No clock and no wire in here; channel.js brings both.

/**
 * @typedef {object} Ticket
 * @property {string} id
 * @property {number} sent_ms when it was first sent
 * @property {number} tried_ms when it was last sent
 * @property {number} tries
 * @property {boolean} received the kernel said that it has it
 * @property {boolean} heavy it carries so much that it is sent again only to an idle kernel
 * @property {boolean} background nobody waits for it, so that no wait is shown
 */

/**
 * @typedef {object} Wait what a view shows while it waits
 * @property {"unreceived"|"working"|"offline"} kind the kernel has not taken the oldest question, or has and works on
 *   it, or is out of reach
 * @property {number} since_s
 * @property {number} questions
 */

/** Not received after this long is said on screen. */
export const SAID_AFTER_MS = 1000;
/** Received and not answered for this long is said on screen. */
export const WORKING_AFTER_MS = 3000;
/** Waits before a question is sent again; the last one repeats. The kernel knows a ticket that it had before. */
export const AGAIN_AFTER_MS = [1500, 3000, 5000, 10000];

export class Tickets {
  constructor() {
    /** @type {Map<string, Ticket>} */
    this.open = new Map();
  }

  /**
   * @param {string} id
   * @param {number} now_ms
   * @param {{ heavy?: boolean, background?: boolean }} [how]
   */
  add(id, now_ms, { heavy = false, background = false } = {}) {
    this.open.set(id, { id, sent_ms: now_ms, tried_ms: now_ms, tries: 1, received: false, heavy, background });
  }

  /** @param {string} id */
  received(id) {
    const ticket = this.open.get(id);
    if (ticket) ticket.received = true;
  }

  /** Answered or given up. @param {string} id */
  close(id) {
    this.open.delete(id);
  }

  /** Ids of all that is open, oldest first. */
  all() {
    return [...this.open.keys()];
  }

  /** The kernel is another one or was away: nothing that it had received counts. */
  forget() {
    for (const ticket of this.open.values()) ticket.received = false;
  }

  /**
   * Ids to send again now, oldest first.
   * @param {number} now_ms
   * @param {boolean} idle whether the kernel says that it runs nothing
   */
  due(now_ms, idle) {
    const due = [];
    for (const ticket of this.open.values()) {
      if (ticket.received || (ticket.heavy && !idle)) continue;
      const wait = AGAIN_AFTER_MS[Math.min(ticket.tries, AGAIN_AFTER_MS.length) - 1];
      if (now_ms - ticket.tried_ms < wait) continue;
      ticket.tries += 1;
      ticket.tried_ms = now_ms;
      due.push(ticket.id);
    }
    return due;
  }

  /**
   * What to show, or null while every question is young.
   * @param {number} now_ms
   * @param {boolean} [connected]
   * @returns {Wait | null}
   */
  wait(now_ms, connected = true) {
    const asked = [...this.open.values()].filter((ticket) => !ticket.background);
    const late = (/** @type {Ticket[]} */ some, /** @type {number} */ after_ms) =>
      some.filter((ticket) => now_ms - ticket.sent_ms >= after_ms);
    const unreceived = late(
      asked.filter((ticket) => !ticket.received),
      SAID_AFTER_MS,
    );
    const working = late(
      asked.filter((ticket) => ticket.received),
      WORKING_AFTER_MS,
    );
    const [kind, which] = !connected
      ? ["offline", late(asked, SAID_AFTER_MS)]
      : unreceived.length
        ? ["unreceived", unreceived]
        : ["working", working];
    if (!which.length) return null;
    const first_ms = Math.min(...which.map((/** @type {Ticket} */ ticket) => ticket.sent_ms));
    return {
      kind: /** @type {Wait["kind"]} */ (kind),
      since_s: Math.floor((now_ms - first_ms) / 1000),
      questions: which.length,
    };
  }
}
