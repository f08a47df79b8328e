// Questions to the kernel and its answers (kernel side: channel.py, class LiveWidget).
//
//   const channel = openChannel(model);
//   const { rows } = await channel.ask("page", { offset: 0 });          // answer.buffers: DataView<ArrayBuffer>[]
//   channel.on("findings", (body, buffers) => …);                       // events pushed by the kernel
//   channel.onLost((lost) => …);                            // kernel restarted or gone: true; back: false
//   channel.onWaiting((wait) => …);                         // {kind, since_s, questions}, or null; see waiting.js
//   channel.close();                                                    // from the view's clean-up
//
// `ask` rejects with ChannelError: `.message` is a sentence for the user, `.fault` true when it is a bug.
//
// A busy kernel is no fault: a question has no time limit. The kernel says at once that it has it; until then it is
// sent again, and the kernel does what a ticket asks only once. So no click is lost, and none counts twice. When the
// connection was away (a laptop slept), what the kernel had taken is asked again: its answer may have been lost.
/**
 * @import { Answer, Asked, Body, Events, None, Questions, Told, Wire } from "./messages.d.ts"
 * @import { Wait } from "./tickets.js"
 */
import { Tickets } from "./tickets.js";

const TICK_MS = 500;
const HEAVY_BYTES = 200_000;
/** Events of the window after which a connection may be had again. */
const WAKES = ["online", "focus", "pageshow"];
const GONE = ["restarting", "autorestarting", "dead", "terminating"];

export class ChannelError extends Error {
  /**
   * @param {string} message
   * @param {{ fault?: boolean, lost?: boolean }} [what]
   */
  constructor(message, { fault = false, lost = false } = {}) {
    super(message);
    this.name = "ChannelError";
    this.fault = fault;
    this.lost = lost;
  }
}

/** @typedef {(body: object, buffers: DataView<ArrayBuffer>[]) => void} Listener */
/**
 * @typedef {object} Asking a question on its way
 * @property {(answer: { buffers: DataView<ArrayBuffer>[] }) => void} resolve
 * @property {(error: ChannelError) => void} reject
 * @property {() => void} send
 */

let serial = 0;

/**
 * @template {Questions} [Q=Questions] what the kernel answers
 * @template {Events} [E=None] what it pushes
 */
export class Channel {
  /** @param {Wire} model */
  constructor(model) {
    this.model = model;
    serial += 1;
    /** Names this view to the kernel. */
    this.view = `${Date.now().toString(36)}-${serial}-${Math.random().toString(36).slice(2, 8)}`;
    this.tickets = new Tickets();
    /** @type {Map<string, Asking>} */
    this.asking = new Map();
    /** @type {Map<string, Set<Listener>>} */
    this.listeners = new Map();
    /** @type {Set<(lost: boolean) => void>} */
    this.lostListeners = new Set();
    /** @type {Set<(wait: Wait | null) => void>} */
    this.waitListeners = new Set();
    this.asked = 0;
    this.lost = false;
    this.saidWait = false;
    this.connected = true;
    /** @type {Set<() => void>} */
    this.backListeners = new Set();
    this.kernel = model.widget_manager?.kernel;
    /** @type {number | null} */
    this.timer = null;
    this.connect();
  }

  connect() {
    this.receive = this.receive.bind(this);
    /** @type {() => void} */
    this.onGone = () => this.setLost(true);
    /** @type {(sender: unknown, status: string) => void} */
    this.onStatus = (_sender, status) => GONE.includes(status) && this.setLost(true);
    this.model.on("msg:custom", this.receive);
    // A restarted kernel closes the widget's comm; ipywidgets then says so in one of these ways.
    for (const name of ["comm:close", "comm_live_update", "destroy"]) this.model.on(name, this.onGone);
    this.kernel?.statusChanged?.connect?.(this.onStatus);
    /** @type {(sender: unknown, status: string) => void} */
    this.onConnection = (_sender, status) => this.setConnected(status === "connected");
    this.kernel?.connectionStatusChanged?.connect?.(this.onConnection);
    /** @type {() => void} */
    this.onWake = () => this.wake();
    for (const name of WAKES) globalThis.addEventListener?.(name, this.onWake);
  }

  /** @param {boolean} value */
  setConnected(value) {
    if (this.connected === value) return;
    this.connected = value;
    if (value) {
      this.tickets.forget();
      for (const id of this.tickets.all()) this.send(id);
      for (const fn of this.backListeners) fn();
    }
    this.sayWait();
  }

  /** The network or the page is back: JupyterLab may have given the connection up meanwhile. */
  wake() {
    if (document.hidden || this.lost || this.kernel?.connectionStatus !== "disconnected") return;
    this.kernel?.reconnect?.().catch?.(() => {});
  }

  /**
   * @template {keyof Q & string} Question
   * @param {Question} question
   * @param {Body<Q, Question>} [body] left out: {}
   * @param {{ buffers?: ArrayBuffer[], background?: boolean }} [how] `background`: nobody waits for the answer
   * @returns {Promise<Answer<Q, Question>>} the answer's body, with its `buffers`
   */
  ask(question, body, { buffers = [], background = false } = {}) {
    if (this.lost) return Promise.reject(gone());
    this.asked += 1;
    const ticket = `${this.view}:${this.asked}`;
    const heavy = buffers.reduce((bytes, buffer) => bytes + buffer.byteLength, 0) > HEAVY_BYTES;
    return new Promise((resolve, reject) => {
      /** @type {Asked} */
      const asked = { ask: ticket, question, body: body ?? {}, view: this.view };
      const send = () => this.model.send(asked, undefined, buffers);
      this.asking.set(ticket, { resolve: /** @type {Asking["resolve"]} */ (resolve), reject, send });
      this.tickets.add(ticket, performance.now(), { heavy, background });
      this.timer ??= setInterval(() => this.tick(), TICK_MS);
      this.send(ticket);
    });
  }

  /** @param {string} ticket */
  send(ticket) {
    try {
      this.asking.get(ticket)?.send();
    } catch {
      // between two connections; the next tick sends it
    }
  }

  /**
   * @param {Told} message
   * @param {DataView<ArrayBuffer>[]} [buffers]
   */
  receive(message, buffers = []) {
    if (message?.event !== undefined) {
      for (const fn of this.listeners.get(message.event) ?? []) fn(message.body ?? {}, buffers);
      return;
    }
    if (message?.received !== undefined) {
      this.tickets.received(message.received);
      return;
    }
    if (message?.answer === undefined) return;
    const open = this.asking.get(message.answer);
    if (!open) return; // another view of the same widget asked
    this.drop(message.answer);
    if (message.error !== undefined) open.reject(new ChannelError(message.error, { fault: message.fault }));
    else open.resolve(Object.assign(message.body ?? {}, { buffers }));
  }

  /** @param {string} ticket */
  drop(ticket) {
    this.asking.delete(ticket);
    this.tickets.close(ticket);
    if (!this.asking.size) this.rest();
    else if (this.saidWait) this.sayWait();
  }

  tick() {
    const idle = this.kernel?.status === undefined || this.kernel.status === "idle";
    for (const ticket of this.tickets.due(performance.now(), idle)) this.send(ticket);
    this.sayWait();
  }

  /** Nothing is open: no timer runs, no wait is shown. */
  rest() {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.sayWait();
  }

  sayWait() {
    const wait = this.lost ? null : this.tickets.wait(performance.now(), this.connected);
    if (!wait && !this.saidWait) return;
    this.saidWait = wait !== null;
    for (const fn of this.waitListeners) fn(wait);
  }

  /** @param {boolean} value */
  setLost(value) {
    if (this.lost === value) return;
    this.lost = value;
    if (value) {
      for (const { reject } of this.asking.values()) reject(gone());
      this.asking.clear();
      this.tickets.open.clear();
      this.rest();
    }
    for (const fn of this.lostListeners) fn(value);
  }

  /**
   * @template {keyof E & string} Event
   * @param {Event} event
   * @param {(body: E[Event], buffers: DataView<ArrayBuffer>[]) => void} fn
   */
  on(event, fn) {
    const group = this.listeners.get(event) ?? new Set();
    const listener = /** @type {Listener} */ (fn);
    this.listeners.set(event, group.add(listener));
    return () => group.delete(listener);
  }

  /** @param {(lost: boolean) => void} fn */
  onLost(fn) {
    this.lostListeners.add(fn);
    if (this.lost) fn(true);
    return () => this.lostListeners.delete(fn);
  }

  /** The connection was away and is back: what was pushed meanwhile may be missed. @param {() => void} fn */
  onBack(fn) {
    this.backListeners.add(fn);
    return () => this.backListeners.delete(fn);
  }

  /** @param {(wait: Wait | null) => void} fn */
  onWaiting(fn) {
    this.waitListeners.add(fn);
    return () => this.waitListeners.delete(fn);
  }

  close() {
    this.model.off("msg:custom", this.receive);
    for (const name of ["comm:close", "comm_live_update", "destroy"]) this.model.off(name, this.onGone);
    this.kernel?.statusChanged?.disconnect?.(this.onStatus);
    this.kernel?.connectionStatusChanged?.disconnect?.(this.onConnection);
    for (const name of WAKES) globalThis.removeEventListener?.(name, this.onWake);
    this.asking.clear();
    this.tickets.open.clear();
    this.rest();
  }
}

/** Whether an error says that the kernel is gone, which a view says better by itself. @param {unknown} error */
export const isLost = (error) => error instanceof ChannelError && error.lost;

const gone = () => new ChannelError("The kernel is gone.", { lost: true });

/**
 * @template {Questions} Q
 * @template {Events} [E=None]
 * @param {Wire} model
 * @returns {Channel<Q, E>}
 */
export const openChannel = (model) => new Channel(model);
