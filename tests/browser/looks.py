"""What every widget is looked at for: text that can be read, and controls that have a name."""

# Texts under 4.5:1 on the color behind them: class, text, ratio.
CONTRAST = """(root) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    const over = (color, ground) => {
        pen.fillStyle = `rgb(${ground})`; pen.fillRect(0, 0, 1, 1);
        pen.fillStyle = color; pen.fillRect(0, 0, 1, 1);
        return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = (rgb) => rgb.map((v) => linear(v / 255))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (el) => !el ? [255, 255, 255]
        : over(getComputedStyle(el).backgroundColor, ground(el.parentElement));
    const bad = [];
    for (const el of root.querySelectorAll("*")) {
        const own = [...el.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
        if (!own || el.closest(":disabled, .nwb-sr, [aria-hidden=true]") || !el.checkVisibility()) continue;
        const back = ground(el);
        const [a, b] = [light(over(getComputedStyle(el).color, back)), light(back)].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) bad.push([el.className, el.textContent.slice(0, 30), ratio.toFixed(2)]);
    }
    return bad;
}"""

# Controls that a screen reader could not name.
NAMELESS = """(root) => [...root.querySelectorAll("button, input, select, textarea, [tabindex]")]
    .filter((el) => !(el.getAttribute("aria-label") || el.textContent.trim() || el.labels?.length))
    .map((el) => el.outerHTML)"""
