// The lineage to click through. Kernel side: lineage.py, which also chooses every place.
/** @import { LineageDrawing, LineageEdge, LineageNode, LineageTraits, Rendered } from "./messages.d.ts" */
import { fill, h, svg } from "./dom.js";
import { named, lineage as words } from "./strings.js";

/** @typedef {Map<string, SVGGElement>} Boxes by node */
/** @typedef {(id: string) => void} Choose "" lets go */

/** @param {Rendered<LineageTraits>} how */
function render({ model, el }) {
  const drawing = model.get("drawing");
  const nodes = new Map(drawing.nodes.map((node) => [node.id, node]));
  const boxes = new Map(drawing.nodes.map((node) => [node.id, box(node, drawing)]));
  /** @type {[LineageEdge, SVGPathElement][]} */
  const lines = drawing.edges.map((edge) => [edge, svg("path", { d: edge.path, class: "nwb-lineage-line" })]);
  const heads = drawing.heads.map((head) =>
    svg("text", { x: head.x, y: head.y, class: "nwb-lineage-head" }, named(words.kinds, head.kind)),
  );
  const picture = svg(
    "svg",
    {
      viewBox: `0 0 ${drawing.width} ${drawing.height}`,
      width: drawing.width,
      height: drawing.height,
      role: "group",
      "aria-label": words.drawing(nodes.size, lines.length),
    },
    ...heads,
    ...lines.map(([, line]) => line),
    ...boxes.values(),
  );
  const panel = h("div", { class: "nwb-lineage-panel", "aria-live": "polite", dataset: { testid: "lineage-panel" } });
  const root = h(
    "div",
    { class: "nwb nwb-lineage", role: "region", "aria-label": words.region, dataset: { testid: "lineage" } },
    h("div", { class: "nwb-lineage-scroll" }, picture),
    panel,
  );
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  el.append(root);

  const choose = (/** @type {string} */ id) => {
    model.set("chosen", id);
    model.save_changes();
  };
  const show = () => {
    const chosen = nodes.get(model.get("chosen"));
    const near = chosen ? new Set([chosen.id, ...chosen.before, ...chosen.after]) : null;
    for (const [id, group] of boxes) {
      group.setAttribute("aria-pressed", String(id === chosen?.id));
      group.classList.toggle("nwb-off", near !== null && !near.has(id));
      group.classList.toggle("nwb-before", Boolean(chosen?.before.includes(id)));
      group.classList.toggle("nwb-after", Boolean(chosen?.after.includes(id)));
      group.setAttribute("tabindex", id === (chosen?.id ?? drawing.nodes[0]?.id) ? "0" : "-1");
    }
    for (const [edge, line] of lines) {
      const upward = chosen && [...chosen.before, chosen.id].includes(edge.to) && chosen.before.includes(edge.start);
      const downward = chosen && [...chosen.after, chosen.id].includes(edge.start) && chosen.after.includes(edge.to);
      line.classList.toggle("nwb-on", Boolean(upward || downward));
      line.classList.toggle("nwb-off", Boolean(chosen) && !upward && !downward);
    }
    fill(panel, ...(chosen ? told(chosen, nodes, choose) : [h("p", { class: "nwb-muted" }, words.hint)]));
  };
  for (const [id, group] of boxes) group.addEventListener("click", () => choose(id === model.get("chosen") ? "" : id));
  picture.addEventListener("keydown", (event) => keys(event, drawing.nodes, boxes, choose));
  model.on("change:chosen", show);
  show();
  return () => model.off("change:chosen", show);
}

/**
 * @param {LineageNode} node
 * @param {LineageDrawing} drawing
 */
function box(node, { boxWidth, boxHeight }) {
  const name = `${named(words.kinds, node.kind)} ${node.label}`;
  const text = svg("text", { x: node.x + 10, y: node.y + boxHeight / 2 + 4 }, node.short);
  return svg(
    "g",
    { class: "nwb-lineage-box", role: "button", "aria-label": name, "data-node": node.id },
    svg("title", {}, name),
    svg("rect", { x: node.x, y: node.y, width: boxWidth, height: boxHeight, rx: 6 }),
    text,
  );
}

/** @type {{ [key: string]: [number, number] | undefined }} */
const WAYS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

/**
 * Enter or Space chooses, arrows go to the nearest box that way, Escape lets go.
 * @param {KeyboardEvent} event
 * @param {LineageNode[]} nodes
 * @param {Boxes} boxes
 * @param {Choose} choose
 */
function keys(event, nodes, boxes, choose) {
  const held = event.target instanceof Element ? event.target.closest("[data-node]") : null;
  const at = nodes.find((node) => boxes.get(node.id) === held);
  if (!at) return;
  const way = WAYS[event.key];
  if (event.key === "Enter" || event.key === " ") choose(at.id);
  else if (event.key === "Escape") choose("");
  else if (way) {
    const along = (/** @type {LineageNode} */ node) => (node.x - at.x) * way[0] + (node.y - at.y) * way[1];
    const aside = (/** @type {LineageNode} */ node) =>
      Math.abs((node.x - at.x) * way[1]) + Math.abs((node.y - at.y) * way[0]);
    const there = nodes
      .filter((node) => along(node) > 0)
      .sort((a, b) => along(a) + 2 * aside(a) - along(b) - 2 * aside(b))[0];
    if (!there) return;
    for (const group of boxes.values()) group.setAttribute("tabindex", "-1");
    boxes.get(there.id)?.setAttribute("tabindex", "0");
    boxes.get(there.id)?.focus();
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

/**
 * @param {LineageNode} node
 * @param {Map<string, LineageNode>} nodes
 * @param {Choose} choose
 */
function told(node, nodes, choose) {
  const links = (/** @type {string[]} */ ids) =>
    h(
      "ul",
      { class: "nwb-lineage-links" },
      ...ids.flatMap((id) => {
        const other = nodes.get(id);
        if (!other) return [];
        return h(
          "li",
          {},
          h(
            "button",
            { class: "nwb-btn nwb-plain", onclick: () => choose(id) },
            `${named(words.kinds, other.kind)} `,
            h("bdi", {}, other.label),
          ),
        );
      }),
    );
  const facts = node.facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", { dir: "auto" }, value)]);
  return [
    h("h4", {}, `${named(words.kinds, node.kind)} `, h("bdi", {}, node.label)),
    facts.length ? h("dl", { class: "nwb-lineage-facts" }, ...facts) : null,
    node.before.length ? h("h5", {}, words.before) : null,
    node.before.length ? links(node.before) : null,
    node.after.length ? h("h5", {}, words.after) : null,
    node.after.length ? links(node.after) : null,
  ];
}

export default { render };
