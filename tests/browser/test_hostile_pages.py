"""Every page that the workbench writes, full of hostile text, in a real browser: nothing runs, nothing is
fetched, and figures beside a text that turns the direction of writing stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page

from workbench.cards import Card, Table
from workbench.evaluation import Evaluation, score_predictions
from workbench.widgets.explorer import Explorer

RUNS = "window.hacked = (window.hacked || 0) + 1"
HOSTILE = (
    f'<img src=x onerror="{RUNS}">',
    f"<script>{RUNS}</script>",
    f"</style></title></script><svg onload='{RUNS}'>",
    f'"><iframe srcdoc="<script>parent.{RUNS}</script>">',
    f"javascript:{RUNS}//",
    '<link rel=stylesheet href="http://127.0.0.1:9/x.css"><base href="http://127.0.0.1:9/">',
    '<meta http-equiv=refresh content="0;url=http://127.0.0.1:9/gone">',
    '<form action="http://127.0.0.1:9/"><button autofocus onfocus="' + RUNS + '">go</button></form>',
    "![x](http://127.0.0.1:9/x.png) [y](javascript:alert(1)) <http://127.0.0.1:9/>",
    "{{constructor.constructor('" + RUNS + "')()}} ${7*7} <%= 7*7 %>",
    "\u202e\u2066 turned \u05d0\u05d1",
    "\u202eright\u202e to \u2067left",
)
# Digits that one text node holds, one after the other, stand from left to right on the screen.
TURNED = r"""() => {
  const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const text = node.data;
    if (!/^[\s\d.,–%()±-]*\d\.\d[\s\d.,–%()±-]*$/.test(text)) continue;
    const at = [...text].map((c, i) => /\d/.test(c) ? i : -1).filter((i) => i >= 0);
    const places = at.map((i) => {
      const range = document.createRange(); range.setStart(node, i); range.setEnd(node, i + 1);
      const box = range.getBoundingClientRect(); return [box.top, box.left, box.width];
    }).filter((p) => p[2] > 0);
    for (let i = 1; i < places.length; i++)
      if (places[i][0] === places[i - 1][0] && places[i][1] < places[i - 1][1]) { found.push(text); break; }
  }
  return found;
}"""


def evaluation() -> Evaluation:
    """Each hostile text as accent, speaker, source, reference word and hypothesis."""
    rows, heard = [], []
    for number in range(120):
        odd = HOSTILE[number % len(HOSTILE)]
        names = dict.fromkeys(("accent", "source", "domain"), odd) | {"speaker": f"{odd} {number % 40}"}
        locale = ("en-US", "he-IL")[number % 2]
        said = {"id": f"{number} {odd}", "text": f"one two three {odd}", "target_lang": locale}
        rows.append({**said, **names, "duration": 2.0})
        heard.append({"id": rows[-1]["id"], "hypothesis": f"one too three {odd}", "detected_lang": "en-US"})
    predictions = {
        "base": pd.DataFrame(heard),
        HOSTILE[0][:40]: pd.DataFrame(heard).assign(hypothesis=HOSTILE[1]),
    }
    return score_predictions(pd.DataFrame(rows), predictions, resamples=50, by=("target_lang", "accent"))


def card() -> Card:
    made = Card(HOSTILE[1], metadata={"license": "other", "model_name": HOSTILE[0]})
    for odd in HOSTILE:
        made.add(odd, odd, Table((odd, "rate"), ((odd, 18.3), ("plain", 3.81))))
    return made


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Name → HTML of each kind of page."""
    folder = tmp_path_factory.mktemp("pages")
    found = evaluation()
    report = found.report(folder / "report.html", title=HOSTILE[1])
    explorer = Explorer(found, name="base")
    made = {
        "report": Path(report).read_text("utf-8"),
        "summary": found._repr_html_(),
        "explorer": explorer.static_html(),
        "card": card().html(),
        "card in a notebook": card()._repr_html_(),
    }
    explorer.close()
    return made


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("name", ["report", "summary", "explorer", "card", "card in a notebook"])
def test_hostile_text_stays_text(pages: dict[str, str], page: Page, tmp_path: Path, name: str) -> None:
    path = tmp_path / "page.html"
    path.write_text(pages[name], "utf-8")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    page.goto(path.as_uri())
    page.evaluate("() => document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    page.wait_for_timeout(200)
    assert page.evaluate("() => window.hacked") is None
    assert asked == [path.as_uri()]
    active = "script, iframe, form, img, link, base, object, embed, [onload], [onerror], [onfocus]"
    assert page.locator(active).count() == 0
    assert page.locator("a[href^='javascript'], a[href^='http']").count() == 0
    assert "one" in page.inner_text("body") or "plain" in page.inner_text("body")
    assert page.evaluate(TURNED) == []
    if "<head>" in pages[name]:
        policy = page.locator("meta[http-equiv='Content-Security-Policy']").get_attribute("content") or ""
        assert all(rule in policy for rule in ("default-src 'none'", "base-uri 'none'", "form-action 'none'"))


def test_the_check_sees_what_it_is_for(page: Page, tmp_path: Path) -> None:
    """Figures are found where an override turns them, and a script where one runs."""
    path = tmp_path / "page.html"
    path.write_text(f"<body>\u202e<span>18.3</span><img src=x onerror='{RUNS}'></body>", "utf-8")
    page.goto(path.as_uri())
    page.wait_for_function("() => window.hacked === 1")
    assert page.evaluate(TURNED) == ["18.3"]
