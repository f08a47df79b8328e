// Files that the explorer hands out: CSV and SVG as the kernel wrote them, and the SVG drawn as PNG.
/** @import { ExportAnswer } from "./messages.d.ts" */
import { h } from "./dom.js";

const KINDS = { csv: "text/csv", svg: "image/svg+xml", png: "image/svg+xml" };
const SHARPER = 2; // pixels of the PNG per pixel of the drawing

/** @typedef {keyof typeof KINDS} Format */

/**
 * Offer `answer.text` for download, or for format "png" a picture of it.
 * @param {Format} format
 * @param {ExportAnswer} answer
 */
export async function saveAs(format, answer) {
  const blob = new Blob([answer.text], { type: KINDS[format] });
  const file = format === "png" ? await picture(blob, answer) : blob;
  const url = URL.createObjectURL(file);
  h("a", { href: url, download: `errors.${format}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/**
 * @param {Blob} svg
 * @param {ExportAnswer} size
 * @returns {Promise<Blob>}
 */
async function picture(svg, { width = 0, height = 0 }) {
  const url = URL.createObjectURL(svg);
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = h("canvas", { width: width * SHARPER, height: height * SHARPER });
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((done, fail) =>
      canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("PNG"))), "image/png"),
    );
  } finally {
    URL.revokeObjectURL(url);
  }
}
