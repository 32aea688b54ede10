"""What is said of a run of a network."""

from pathlib import Path

import pytest

from ewval.cli.show.training import network_document, network_text
from ewval.nn.training.fit import FitSummary
from ewval.nn.training.run import RunSummary


def summary(model: Path, *, why: str = "done", loss: float | None = 0.25, iou: float | None = 0.5) -> RunSummary:
    return RunSummary(FitSummary(why, 8, 2, loss, iou, 1.5), model, tasks=7, validation_tasks=3)


def test_a_finished_run_tells_its_length_loss_and_quality(tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    model.touch()
    assert network_text(summary(model)) == (
        f"trained: 8 steps, 2 epochs, lowest loss 0.2500, validation IoU without the seed 0.500\nmodel: {model}"
    )
    document = network_document(summary(model))
    assert (document["why"], document["steps"], document["tasks"], document["validation_tasks"]) == ("done", 8, 7, 3)


@pytest.mark.parametrize(
    ("why", "begins"),
    [
        ("early", "stopped early, no further gain: "),
        ("interrupted", "interrupted; the same command resumes: "),
        ("nothing", "nothing to do, the run is finished: "),
    ],
)
def test_without_a_model_that_is_said(tmp_path: Path, why: str, begins: str) -> None:
    text = network_text(summary(tmp_path / "none", why=why, loss=None, iou=None))
    assert text == f"{begins}8 steps, 2 epochs\nno model yet: no epoch is finished"
