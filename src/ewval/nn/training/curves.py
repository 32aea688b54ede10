"""The picture of a run's progress."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ewval.core.show.figures import new_figure
from ewval.core.storage.files import replacing


def draw_curves(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Draw the loss of the steps and what each epoch's validation found, as a PNG at `path`."""
    steps = [line for line in lines if line["kind"] == "step"]
    epochs = [line for line in lines if line["kind"] == "epoch" and line["val_loss"] is not None]
    figure = new_figure(figsize=(9, 4), layout="constrained")
    losses, quality = figure.subplots(1, 2)
    losses.plot([line["step"] for line in steps], [line["loss"] for line in steps], lw=0.8, label="training step")
    losses.plot([line["step"] for line in epochs], [line["val_loss"] for line in epochs], "o-", label="validation")
    losses.set(xlabel="step", ylabel="loss", title="Loss")
    losses.legend()
    iou = [line["val_seedless_iou"] for line in epochs]
    quality.plot([line["step"] for line in epochs], iou, "o-", color="tab:green")
    quality.set(xlabel="step", ylabel="IoU, seed left out", title="Validation", ylim=(0, 1))
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)
