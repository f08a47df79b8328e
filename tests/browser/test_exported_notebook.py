"""An executed notebook as a page: figures are drawn and sounds play, and nothing is fetched."""

from __future__ import annotations

import base64
from pathlib import Path

import nbformat
import plotly.graph_objects as go
import plotly.io
from playwright.sync_api import Browser, expect

from workbench.lab import notebook_page

DOT = base64.b64encode(
    bytes.fromhex("47494638396101000100800000ff0000000000 21f90400000000002c00000000010001000002024401003b")
).decode()


def test_figures_are_drawn_and_nothing_is_fetched(browser: Browser, tmp_path: Path) -> None:
    figure = go.Figure(go.Bar(x=["en-US", "es-ES"], y=[3, 4]))
    bundle = {"text/html": plotly.io.to_html(figure, include_plotlyjs=True, full_html=False)}
    outputs = [
        nbformat.v4.new_output("display_data", bundle),
        nbformat.v4.new_output(
            "display_data", {"text/html": f'<img id=dot src="data:image/gif;base64,{DOT}">'}
        ),
        nbformat.v4.new_output("display_data", {"text/html": '<img src="http://127.0.0.1:9/away.png">'}),
        nbformat.v4.new_output(
            "display_data", {"text/html": "<script>fetch('http://127.0.0.1:9/?sent')</script>"}
        ),
    ]
    cells = [
        nbformat.v4.new_markdown_cell("# Title\n\nWER $= 3/4$"),
        nbformat.v4.new_code_cell("figure", outputs=outputs, execution_count=1),
    ]
    path = tmp_path / "page.html"
    path.write_text(notebook_page(nbformat.v4.new_notebook(cells=cells)), encoding="utf-8")
    page = browser.new_page()
    fetched: list[str] = []
    page.on("response", lambda answer: fetched.append(answer.url))
    refused: list[str] = []
    page.on(
        "console", lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None
    )
    page.goto(path.as_uri())
    expect(page.locator(".js-plotly-plot .bars path").first).to_be_attached(timeout=20_000)
    assert page.evaluate("document.getElementById('dot').naturalWidth") == 1
    assert [url for url in fetched if not url.startswith(("file:", "data:", "blob:"))] == []
    assert len([line for line in refused if "127.0.0.1:9" in line]) >= 2
    page.close()
