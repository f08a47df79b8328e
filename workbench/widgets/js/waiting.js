// One line that says that the kernel is busy, with the time it has taken. Every widget shows it above its content.
//   root.append(createWaiting(channel));
/** @import { Channel } from "./channel.js" */
import { clock, fill, h } from "./dom.js";
import { common } from "./strings.js";

/**
 * @param {Pick<Channel, "onWaiting">} channel
 * @returns {HTMLElement}
 */
export function createWaiting(channel) {
  const element = h("div", {
    class: "nwb-note nwb-waiting",
    role: "status",
    hidden: true,
    dataset: { testid: "waiting" },
  });
  const text = h("span");
  const time = h("span", { class: "nwb-num nwb-muted", "aria-hidden": "true" });
  fill(element, h("span", { class: "nwb-spinner", "aria-hidden": "true" }), text, time);
  channel.onWaiting((wait) => {
    element.hidden = !wait;
    if (!wait) return;
    const said = common.waiting[wait.kind];
    if (text.textContent !== said) text.textContent = said;
    time.textContent = clock(wait.since_s, 0);
    element.dataset.kind = wait.kind;
  });
  return element;
}
