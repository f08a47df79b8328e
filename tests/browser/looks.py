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

_SEEN = """
    const seen = (el) => el.checkVisibility({ visibilityProperty: true, opacityProperty: true })
        && !el.closest(".nwb-sr, details:not([open]) > :not(summary)")
        && el.getBoundingClientRect().width > 0;
    const scrolls = (el) => /auto|scroll/.test(getComputedStyle(el).overflowX);
    const inScroller = (el, root) => {
        for (let at = el.parentElement; at && at !== root; at = at.parentElement)
            if (scrolls(at)) return true;
        return false;
    };
    const name = (el) => `${el.className?.baseVal ?? el.className} “${el.textContent.trim().slice(0, 24)}”`;
"""
# Controls beyond the widget's edge, and controls and heads whose own text does not fit into them.
CUT = f"""(root) => {{ {_SEEN}
    const box = root.getBoundingClientRect(), bad = [];
    for (const el of root.querySelectorAll("button, input, select, textarea, summary, h3, h4, .nwb-num")) {{
        if (!seen(el)) continue;
        const own = el.getBoundingClientRect();
        if (!inScroller(el, root) && (own.right > box.right + 1 || own.left < box.left - 1))
            bad.push(["beyond the edge", name(el)]);
        const text = el.matches("button, summary, h3, h4, .nwb-num") && el.clientWidth > 0;
        const hides = /hidden|clip/.test(getComputedStyle(el).overflowX);
        if (text && hides && el.scrollWidth > el.clientWidth + 1 && !el.title && !el.closest("[title]"))
            bad.push(["text cut off", name(el)]);
        if (el.matches("select") && el.selectedOptions.length) {{
            const ruler = document.createElement("canvas").getContext("2d");
            ruler.font = getComputedStyle(el).font;
            const wide = ruler.measureText(el.selectedOptions[0].text).width;
            if (el.clientWidth < Math.min(wide, 120) + 16) bad.push(["choice cut off", name(el)]);
        }}
    }}
    return bad;
}}"""
# Pairs of controls that lie over each other by more than a few pixels.
OVERLAPPING = f"""(root) => {{ {_SEEN}
    const all = [...root.querySelectorAll("button, input, select, textarea, summary")].filter(seen)
        .filter((el) => !el.closest("[role=grid], .nwb-scatter, .nwb-lane, dialog, [role=dialog]"));
    const boxes = all.map((el) => el.getBoundingClientRect()), bad = [];
    for (let i = 0; i < all.length; i += 1) for (let k = i + 1; k < all.length; k += 1) {{
        if (all[i].contains(all[k]) || all[k].contains(all[i])) continue;
        const [a, b] = [boxes[i], boxes[k]];
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 3 && high > 3 && !inScroller(all[i], root) && !inScroller(all[k], root))
            bad.push(["overlap", name(all[i]), name(all[k])]);
    }}
    return bad;
}}"""
