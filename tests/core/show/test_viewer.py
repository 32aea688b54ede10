"""The report: what is in it, how large it is, and that a browser shows it without complaint."""

import json
import re

import numpy as np
import pytest

from browser import NO_WEBGL, WEBGL, browse, find_chromium
from ewval.core.show.viewer import TaskPanel, VolumePicture, render_report
from ewval.core.volumes.pooling import pool_full

needs_browser = pytest.mark.skipif(find_chromium() is None, reason="no Chromium here")
ROD, BALL, PLATE, FAR = 11, 12, 13, 14


@pytest.fixture(scope="module")
def volume():
    """A rod as the seed, and around it a ball, a plate and something far away."""
    z, y, x = np.ogrid[:256, :256, :256]
    labels = np.zeros((256, 256, 256), np.uint16)
    labels[((y - 128) ** 2 + (x - 128) ** 2 < 30**2) & (z < 140)] = ROD
    labels[(z - 180) ** 2 + (y - 128) ** 2 + (x - 128) ** 2 < 45**2] = BALL
    labels[:, 200:210, 60:200] = PLATE
    labels[:40, :40, :40] = FAR
    rng = np.random.default_rng(0)
    image = np.where(labels > 0, 150, 60) + rng.integers(0, 60, labels.shape)
    return VolumePicture(image.astype(np.uint8), labels)


def document(task, **changes):
    segments = [
        {"id": BALL, "voxels": 380000, "probability": 0.93, "uncertainty": 0.14, "verdict": "add"},
        {"id": PLATE, "voxels": 358400, "probability": 0.45, "uncertainty": 0.9, "verdict": "maybe"},
        {"id": FAR, "voxels": 64000, "probability": 0.02, "uncertainty": 0.04, "verdict": "reject"},
    ]
    plain = {
        "task": task,
        "volume": 5,
        "cell": 77,
        "model": "</script><b>made up</b>",
        "loops": 4,
        "seed": [ROD],
        "consensus": [ROD, BALL, FAR],
        "add": [BALL],
        "maybe": [PLATE],
        "remove": [FAR],
        "segments": segments,
        "agreement": 0.86,
        "review_priority": 0.3,
        "missing": [],
        "doubts": [{"id": FAR, "reason": "unlikely"}],
        "unscored": [],
        "resolution": "full",
    }
    return plain | changes


@pytest.fixture(scope="module")
def page(volume, tmp_path_factory):
    """A report of two tasks in one volume."""
    probability = np.isin(volume.labels[::4, ::4, ::4], [ROD, BALL]).astype(np.float32) * 0.9
    documents = [document(1), document(2, add=[], maybe=[], consensus=None, remove=[], agreement=None, doubts=[])]
    panels = [TaskPanel(d, probability, pool_full(volume.labels)) for d in documents]
    text = render_report(documents, panels, {5: volume}, title="two <tasks>", subtitle="made up")
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(text)
    return path


def test_the_page_is_one_small_file_that_names_no_other(page):
    text = page.read_text()
    assert page.stat().st_size < 5_000_000
    assert "two &lt;tasks&gt;" in text
    assert not re.findall(r"(?:src|href)\s*=\s*[\"'](?!data:)", text)
    assert "http://" not in text
    assert "https://" not in text


def test_the_data_cannot_end_its_element(page):
    inside = page.read_text().partition('<script id="data" type="application/json">')[2].partition("</script>")[0]
    assert json.loads(inside)["tasks"][0]["document"]["model"] == "</script><b>made up</b>"


@needs_browser
@pytest.mark.parametrize(("flags", "drawn_with"), [(WEBGL, "WebGL"), (NO_WEBGL, "canvas")])
def test_slices_scroll_and_bodies_turn_without_a_complaint(page, tmp_path, flags, drawn_with):
    seen = {}

    async def visit(opened):
        await opened.until("document.body?.dataset.ready === '1'")
        seen["with"] = await opened.run("document.body.dataset.solid")
        seen["slice"], seen["solid"] = await picture(opened, "slice"), await picture(opened, "solid")
        await opened.run("(z => { z.value = 5; z.dispatchEvent(new Event('input')); })(document.getElementById('z'))")
        seen["other slice"] = await picture(opened, "slice")
        x, y = await opened.run(
            "(b => [b.x + b.width / 2, b.y + b.height / 2])(document.getElementById('solid').getBoundingClientRect())"
        )
        await opened.drag((x, y), (x + 120, y + 30))
        seen["turned"] = await picture(opened, "solid")
        await opened.run("document.querySelector('#bodies [data-layer=add]').click()")
        seen["without add"] = await picture(opened, "solid")
        await opened.run("document.querySelector('#layers [data-layer=uncertainty]').click()")
        seen["uncertainty"] = await picture(opened, "slice")
        await opened.run("document.querySelectorAll('#tasks tbody tr')[1].click()")
        await opened.until("document.body.dataset.ready === '2'")
        seen["text"] = await opened.run("document.body.innerText")
        await opened.screenshot(tmp_path / "seen.png")

    opened = browse(page, visit, flags=flags)
    assert opened.complaints == []
    assert opened.requests == [page.resolve().as_uri()]
    assert seen["with"] == drawn_with
    assert len({seen["slice"], seen["other slice"], seen["uncertainty"]}) == 3
    assert len({seen["solid"], seen["turned"], seen["without add"]}) == 3
    assert "Nothing to add" in seen["text"]
    assert "no players' consensus" in seen["text"]
    assert (tmp_path / "seen.png").stat().st_size > 10_000


async def picture(opened, canvas):
    return await opened.run(f"document.getElementById('{canvas}').toDataURL()")
