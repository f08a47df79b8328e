// How long a clip has been worked on: while it is chosen, its page is visible and somebody is there.
//
//   const watch = createWatch(); watch.show(id); watch.seconds; watch.restart(); watch.destroy()

const TICK_MS = 250;
/** Without a key, a pointer or sound for so long nobody is there. */
export const AWAY_MS = 120_000;

/**
 * Seconds to count for one tick.
 * @param {number} passed_ms since the last tick; more after the machine slept
 * @param {{ visible: boolean, idle_ms: number }} how
 */
export function counted(passed_ms, { visible, idle_ms }) {
  return visible && idle_ms < AWAY_MS ? Math.min(passed_ms, 4 * TICK_MS) / 1000 : 0;
}

/** @param {() => boolean} busy whether sound is playing, which counts as being there */
export function createWatch(busy) {
  let seconds = 0;
  let last = performance.now();
  let there = last;
  /** @type {string | null} */
  let shown = null;
  const touch = () => {
    there = performance.now();
  };
  const tick = () => {
    const now = performance.now();
    if (busy()) there = now;
    if (shown) seconds += counted(now - last, { visible: !document.hidden, idle_ms: now - there });
    last = now;
  };
  const timer = setInterval(tick, TICK_MS);
  for (const type of ["keydown", "pointermove", "pointerdown"]) addEventListener(type, touch, true);
  return {
    /** @param {string | null} id of the clip now shown; another one starts at 0 */
    show(id) {
      tick();
      if (id !== shown) seconds = 0;
      shown = id;
    },
    restart() {
      tick();
      seconds = 0;
    },
    get seconds() {
      tick();
      return Math.round(seconds * 10) / 10;
    },
    destroy() {
      clearInterval(timer);
      for (const type of ["keydown", "pointermove", "pointerdown"]) removeEventListener(type, touch, true);
    },
  };
}
