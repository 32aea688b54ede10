"""The report opens by itself: no error on the console, nothing asked of any other place, all of it there."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from ewval.core.evaluation.report.plots import PlotSet
from ewval.core.evaluation.report.report import build_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # nothing leaves this machine, whatever is asked
    "--window-size=390,844",
)
PLOTS = 24


def test_the_report_holds_everything_itself(evaluated):
    html = (evaluated / "report.html").read_text()
    sources = re.findall(r"""(?:src|href)=["']([^"']*)""", html)
    assert sources
    assert all(source.startswith("data:") for source in sources)
    assert "@import" not in html
    assert "url(" not in html
    assert html.isascii()


def test_the_report_shows_tables_plots_guards_and_tasks(evaluated):
    html = (evaluated / "report.html").read_text()
    assert html.count("<table>") == 3
    assert html.count("data:image/svg+xml") == PLOTS
    assert html.count("data:image/jpeg") == 4  # the best; nothing was wrong, so no worst
    for text in (
        "loops=2",
        "loops=1",
        "seed alone",
        "all touching segments",
        "growth by image evidence",
        "There is no such task.",
    ):
        assert text in html
    assert html.count('class="state pass"') == 4
    assert "alarm" not in html.partition("</style>")[2]


def test_a_failed_guard_is_a_red_line(evaluated):
    document = json.loads((evaluated / "metrics.json").read_text())
    document["guards"]["shuffled_image"] = {"state": "fail", "value": 1.0, "reason": "the image < hardly matters"}
    html = build_report(document, PlotSet([], [], [], []), worst=[], best=[], about="nothing")
    line = "Do not believe these figures: guard shuffled_image failed. the image &lt; hardly matters"
    assert f'<p class="card alarm">{line}</p>' in html


def test_every_plot_is_there_as_png_and_svg(evaluated):
    names = {path.stem for path in (evaluated / "plots").glob("*.svg")}
    assert len(names) == PLOTS
    assert {path.stem for path in (evaluated / "plots").glob("*.png")} == names
    wanted = ("histogram-seedless-iou", "scatter-seedless-recall-recall", "uncertainty-darkness", "maybe-trade-off")
    assert set(wanted) <= names


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_chromium_shows_it_without_an_error_or_a_request(evaluated, tmp_path):
    visit = open_page(evaluated / "report.html", tmp_path)
    assert visit.dom.count("<table>") == 3
    assert visit.dom.count("<img") == PLOTS + 4
    assert visit.console == []
    assert visit.requests == set()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_an_error_and_a_request_would_be_noticed(tmp_path):
    page = tmp_path / "page.html"
    page.write_text('<img src="http://elsewhere.invalid/a.png"><script>console.error("oh")</script>')
    visit = open_page(page, tmp_path)
    assert visit.requests == {"http://elsewhere.invalid/a.png"}
    assert any("oh" in line for line in visit.console)


@dataclass
class Visit:
    """What Chromium made of a page: its elements, what it wrote to the console, what it asked of other places."""

    dom: str
    console: list[str]
    requests: set[str]


def open_page(page: Path, folder: Path) -> Visit:
    log = folder / "net.json"
    own = (f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", "--enable-logging=stderr", "--dump-dom")
    command = [CHROMIUM, *FLAGS, *own, page.as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    return Visit(result.stdout, console, requests_of_page(json.loads(log.read_text())))


def requests_of_page(log: dict) -> set[str]:
    """Return what the page asked for in Chromium's network log; what the browser asks for itself has no initiator."""
    asked = (event["params"] for event in log["events"] if "initiator" in event.get("params", {}))
    return {params["url"] for params in asked if params["initiator"] != "not an origin" and "url" in params}
