// Questions to the kernel and its answers (kernel side: channel.py, class LiveWidget).
//
//   const channel = openChannel(model);
//   const { rows } = await channel.ask("page", { offset: 0 });          // answer.buffers: DataView[]
//   channel.on("findings", (body, buffers) => …);                       // events pushed by the kernel
//   channel.onLost((lost) => …);                                        // kernel restarted or gone: true; back: false
//   channel.close();                                                    // from the view's clean-up
//
// `ask` rejects with ChannelError: `.message` is a sentence for the user, `.fault` true when it is a bug.

export class ChannelError extends Error {
  constructor(message, { fault = false, lost = false } = {}) {
    super(message);
    this.name = "ChannelError";
    this.fault = fault;
    this.lost = lost;
  }
}

let serial = 0;

export function openChannel(model) {
  const prefix = `${Date.now().toString(36)}-${(serial += 1)}-${Math.random().toString(36).slice(2, 8)}:`;
  const waiting = new Map();
  const listeners = new Map();
  const lostListeners = new Set();
  let next = 0;
  let lost = false;

  function receive(message, buffers = []) {
    if (message?.event !== undefined) {
      for (const fn of listeners.get(message.event) ?? []) fn(message.body, buffers);
      return;
    }
    const open = waiting.get(message?.answer);
    if (!open) return; // another view of the same widget asked
    waiting.delete(message.answer);
    clearTimeout(open.timer);
    if (message.error !== undefined) open.reject(new ChannelError(message.error, { fault: message.fault }));
    else open.resolve(Object.assign(message.body ?? {}, { buffers }));
  }

  function setLost(value) {
    if (lost === value) return;
    lost = value;
    if (lost) {
      for (const { reject, timer } of waiting.values()) {
        clearTimeout(timer);
        reject(new ChannelError("The kernel is gone.", { lost: true }));
      }
      waiting.clear();
    }
    for (const fn of lostListeners) fn(lost);
  }

  const onGone = () => setLost(true);
  // A restarted kernel closes the widget's comm; ipywidgets then says so in one of these ways.
  const goneEvents = ["comm:close", "comm_live_update", "destroy"];
  const kernel = model.widget_manager?.kernel;
  const onStatus = (_sender, status) => {
    if (["restarting", "autorestarting", "dead", "terminating"].includes(status)) setLost(true);
  };
  model.on("msg:custom", receive);
  for (const name of goneEvents) model.on(name, onGone);
  kernel?.statusChanged?.connect?.(onStatus);

  return {
    ask(question, body = {}, { buffers = [], timeout_s = 90 } = {}) {
      if (lost) return Promise.reject(new ChannelError("The kernel is gone.", { lost: true }));
      const ticket = prefix + (next += 1);
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(ticket);
          reject(new ChannelError(`The kernel did not answer within ${timeout_s} s.`, { fault: true }));
        }, timeout_s * 1000);
        waiting.set(ticket, { resolve, reject, timer });
        model.send({ ask: ticket, question, body }, undefined, buffers);
      });
    },
    on(event, fn) {
      if (!listeners.has(event)) listeners.set(event, new Set());
      listeners.get(event).add(fn);
      return () => listeners.get(event).delete(fn);
    },
    onLost(fn) {
      lostListeners.add(fn);
      if (lost) fn(true);
      return () => lostListeners.delete(fn);
    },
    get lost() {
      return lost;
    },
    close() {
      model.off("msg:custom", receive);
      for (const name of goneEvents) model.off(name, onGone);
      kernel?.statusChanged?.disconnect?.(onStatus);
      for (const { timer } of waiting.values()) clearTimeout(timer);
      waiting.clear();
    },
  };
}
