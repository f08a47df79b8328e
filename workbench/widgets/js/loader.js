// Front of every `_esm`; `assets.py` fills in the two names. Each source becomes one Blob whose relative imports
// point at the Blobs of what it imports. Blobs are kept for the life of the page and shared between widgets.
/** @type {{ [name: string]: { text: string, digest: string, imports: { [specifier: string]: string } } }} */
// @ts-expect-error: filled in
const SOURCES = __SOURCES__;
/** @type {string} */
// @ts-expect-error: filled in
const ENTRY = __ENTRY__;
const KEPT = Symbol.for("nemotron-workbench.modules");
const page = /** @type {{ [KEPT]?: Map<string, string> }} */ (globalThis);
page[KEPT] ??= new Map();
const blobs = page[KEPT];

/** @param {string} name */
function address(name) {
  const { text, digest, imports } = SOURCES[name];
  const key = `${name}@${digest}`;
  let url = blobs.get(key);
  if (!url) {
    let code = text;
    for (const [specifier, path] of Object.entries(imports)) {
      const place = address(path);
      for (const quote of [`"`, `'`]) code = code.replaceAll(quote + specifier + quote, quote + place + quote);
    }
    code += `\n//# sourceURL=nemotron-workbench/${name}\n`;
    url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    blobs.set(key, url);
  }
  return url;
}

// Modules load when a view is drawn: anywidget gives a model two seconds to initialize, and gives it up for good.
export default {
  render: async (/** @type {object} */ view) => (await import(/* @vite-ignore */ address(ENTRY))).default.render(view),
};
