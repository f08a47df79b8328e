// Front of every `_esm`; `assets.py` fills in the two names. Each source becomes one Blob whose relative imports
// point at the Blobs of what it imports. Blobs are kept for the life of the page and shared between widgets.
// @ts-expect-error: filled in
const SOURCES = __SOURCES__;
// @ts-expect-error: filled in
const ENTRY = __ENTRY__;
const KEPT = Symbol.for("nemotron-workbench.modules");
globalThis[KEPT] ??= new Map();
const blobs = globalThis[KEPT];

function address(name) {
  const { text, digest, imports } = SOURCES[name];
  const key = `${name}@${digest}`;
  if (!blobs.has(key)) {
    let code = text;
    for (const [specifier, path] of Object.entries(imports)) {
      const url = address(path);
      for (const quote of [`"`, `'`]) code = code.replaceAll(quote + specifier + quote, quote + url + quote);
    }
    code += `\n//# sourceURL=nemotron-workbench/${name}\n`;
    blobs.set(key, URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  }
  return blobs.get(key);
}

// Modules load when a view is drawn: anywidget gives a model two seconds to initialize, and gives it up for good.
export default { render: async (view) => (await import(/* @vite-ignore */ address(ENTRY))).default.render(view) };
