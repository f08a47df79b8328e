// Files that the explorer hands out: CSV and SVG as the kernel wrote them, and the SVG drawn as PNG.
import { h } from "./dom.js";

const KINDS = { csv: "text/csv", svg: "image/svg+xml" };
const SHARPER = 2; // pixels of the PNG per pixel of the drawing

/** Offer `answer.text` for download, or for format "png" a picture of it. */
export async function saveAs(format, answer) {
  const blob = new Blob([answer.text], { type: KINDS[format] ?? KINDS.svg });
  const file = format === "png" ? await picture(blob, answer) : blob;
  const url = URL.createObjectURL(file);
  h("a", { href: url, download: `errors.${format}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

async function picture(svg, { width, height }) {
  const url = URL.createObjectURL(svg);
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = h("canvas", { width: width * SHARPER, height: height * SHARPER });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((done, fail) =>
      canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("PNG"))), "image/png"),
    );
  } finally {
    URL.revokeObjectURL(url);
  }
}
