"""HTML pages of their own: no scripts, nothing fetched, and a policy in the page that holds it to that."""

from __future__ import annotations

from html import escape

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""A second lock: even text that came through unescaped could load, run or send nothing."""

SCRIPTED = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; style-src 'unsafe-inline'; "
    "img-src data: blob:; media-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
)
"""For exported notebooks, whose figures draw themselves: own scripts run, nothing is fetched or sent."""


def page(title: str, style: str, body: str) -> str:
    """A whole page.

    Args:
        title: any text.
        style: CSS.
        body: HTML whose texts are escaped.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"/>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>{body}</body></html>\n"
    )
