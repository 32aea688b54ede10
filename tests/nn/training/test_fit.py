"""Whole trainings: interrupted, killed, resumed, stopped early."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from ewval.core.errors import DamagedError, DivergedError
from ewval.core.models.card import ModelCard
from ewval.core.progress import Silent
from ewval.core.training.run_folder import RunFolder, read_metrics
from ewval.nn.data.batches import Batch
from ewval.nn.loss import LossConfig
from ewval.nn.networks.lwunet import LWUNet, LWUNetConfig
from ewval.nn.training.checkpoint import read_checkpoint
from ewval.nn.training.fit import Fit, FitPlan, FitSummary
from ewval.nn.training.optimization import OptimizerConfig
from ewval.nn.training.step import TrainConfig, Trainer
from ewval.nn.weights import load_network

MakeBatch = Callable[..., Batch]
CONFIG = TrainConfig(
    loss=LossConfig("sampled", samples=2),
    optimizer=OptimizerConfig(learning_rate=1e-2, ema=0.9, step_epochs=1),
    loops=2,
)


@dataclass
class Source:
    """Three batches an epoch, other ones in each epoch."""

    make: MakeBatch

    def __len__(self) -> int:
        return 3

    def epoch(self, number: int, *, skip: int) -> Iterator[Batch]:
        return (self.make(2, seed=10 * number + index) for index in range(skip, 3))


class Signaller(Silent):
    """Sends this process a signal after so many steps, as a user or a cluster would."""

    def __init__(self, after: int, kind: signal.Signals = signal.SIGTERM) -> None:
        self.left, self.kind = after, kind

    def advance(self, count: int = 1) -> None:
        self.left -= count
        if self.left == 0:
            os.kill(os.getpid(), self.kind)


def fit(folder: Path, make: MakeBatch, *, config: TrainConfig = CONFIG, **others: object) -> Fit:
    torch.manual_seed(0)
    network = LWUNet(LWUNetConfig(loops=2))
    options: dict[str, object] = {"plan": FitPlan(epochs=2), "validation": lambda: [make(2, seed=99)]}
    return Fit(
        Trainer(network, config),
        Source(make),
        folder=RunFolder(folder),
        card=ModelCard(name="tiny", arch="lwunet"),
        **{**options, **others},  # type: ignore[arg-type]
    )


def run(folder: Path, make: MakeBatch, **options: object) -> FitSummary:
    return fit(folder, make, **options).run()  # type: ignore[arg-type]


def state(folder: Path) -> dict[str, torch.Tensor]:
    content = read_checkpoint(folder / "last.pt")
    flat = {f"ema.{key}": value for key, value in content["ema"]["weights"].items()}
    for number, moments in content["optimizer"]["state"].items():
        flat |= {f"{number}.{key}": value for key, value in moments.items()}
    return flat | content["network"]


@pytest.mark.parametrize(("kind", "after"), [(signal.SIGTERM, 2), (signal.SIGINT, 3)])
def test_interrupted_and_resumed_is_bit_for_bit_uninterrupted(
    tmp_path: Path, make_batch: MakeBatch, kind: signal.Signals, after: int
) -> None:
    whole = run(tmp_path / "whole", make_batch)
    first = run(tmp_path / "parts", make_batch, progress=Signaller(after, kind))
    assert (first.why, first.steps) == ("interrupted", after)
    torch.manual_seed(12345)  # whatever happened between
    second = fit(tmp_path / "parts", make_batch)
    second.resume()
    done = second.run()
    assert (done.why, done.steps, done.best_loss) == ("done", whole.steps, whole.best_loss)
    expected, found = state(tmp_path / "whole"), state(tmp_path / "parts")
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    lines = [
        [{**line, "seconds": 0, "samples_per_s": 0} for line in read_metrics(tmp_path / name / "metrics.jsonl")]
        for name in ("whole", "parts")
    ]
    assert lines[0] == lines[1]


def test_a_finished_run_has_nothing_to_do(tmp_path: Path, make_batch: MakeBatch) -> None:
    run(tmp_path, make_batch)
    again = fit(tmp_path, make_batch)
    again.resume()
    before = (tmp_path / "last.pt").stat().st_mtime_ns
    assert again.run().why == "nothing"
    assert (tmp_path / "last.pt").stat().st_mtime_ns == before


def test_a_run_leaves_all_its_files(tmp_path: Path, make_batch: MakeBatch) -> None:
    summary = run(tmp_path, make_batch)
    assert {path.name for path in tmp_path.iterdir()} == {
        "best.pt", "last.pt", "metrics.jsonl", "model.json", "model.safetensors", "progress.png"
    }  # fmt: skip
    assert (tmp_path / "progress.png").read_bytes().startswith(b"\x89PNG")
    kinds = [line["kind"] for line in read_metrics(tmp_path / "metrics.jsonl")]
    assert kinds == ["step", "step", "step", "epoch"] * 2
    card = json.loads((tmp_path / "model.json").read_text())
    assert card["scores"]["val_loss"] == pytest.approx(summary.best_loss)


def test_the_model_of_a_run_is_the_running_mean_of_its_best_epoch(tmp_path: Path, make_batch: MakeBatch) -> None:
    run(tmp_path, make_batch)
    mean = read_checkpoint(tmp_path / "best.pt")["ema"]["weights"]
    for name in (tmp_path, tmp_path / "model.safetensors", tmp_path / "best.pt"):
        loaded = load_network(name).network.state_dict()
        assert all(torch.equal(loaded[key], value) for key, value in mean.items())


def test_it_stops_early_where_nothing_gets_better(tmp_path: Path, make_batch: MakeBatch) -> None:
    frozen = replace(CONFIG, optimizer=OptimizerConfig(learning_rate=1e-12, ema=0.9))
    # Each validation is worse than the one before.
    rising = iter(range(99))
    summary = run(
        tmp_path,
        make_batch,
        config=frozen,
        plan=FitPlan(epochs=50, patience=2),
        validation=lambda: [replace(make_batch(), image=make_batch().image + 0 * next(rising))],
    )
    assert summary.why == "early"
    assert summary.epochs < 50


def test_steps_count_instead_of_epochs(tmp_path: Path, make_batch: MakeBatch) -> None:
    summary = run(tmp_path, make_batch, plan=FitPlan(epochs=1, steps=5))
    assert (summary.why, summary.steps) == ("done", 5)


def test_without_validation_the_training_loss_decides(tmp_path: Path, make_batch: MakeBatch) -> None:
    summary = run(tmp_path, make_batch, validation=list)
    assert summary.best_loss is not None
    assert summary.seedless_iou is None
    assert (tmp_path / "model.safetensors").exists()


class Spoiled(Source):
    """The second epoch holds an image that is not finite."""

    def epoch(self, number: int, *, skip: int) -> Iterator[Batch]:
        for batch in super().epoch(number, skip=skip):
            yield replace(batch, image=batch.image / (1 - number))


def test_divergence_keeps_the_last_good_checkpoint(tmp_path: Path, make_batch: MakeBatch) -> None:
    broken = fit(tmp_path, make_batch)
    broken.source = Spoiled(make_batch)
    with pytest.raises(DivergedError, match="diverged at step 3"):
        broken.run()
    content = read_checkpoint(tmp_path / "last.pt")
    assert content["position"]["step"] == 3
    assert all(bool(torch.isfinite(value).all()) for value in content["network"].values())


def test_lines_from_after_the_checkpoint_are_dropped_on_resuming(tmp_path: Path, make_batch: MakeBatch) -> None:
    run(tmp_path, make_batch, progress=Signaller(4))
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"kind": "step", "step": 4, "loss": 0.5}\n{"kind": "st')
    again = fit(tmp_path, make_batch)
    again.resume()
    again.run()
    steps = [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl") if line["kind"] == "step"]
    assert steps == [0, 1, 2, 3, 4, 5]


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path, make_batch: MakeBatch) -> None:
    run(tmp_path, make_batch)
    other = fit(tmp_path, make_batch)
    other.trainer = Trainer(LWUNet(LWUNetConfig(loops=2, boundary=True)), CONFIG)
    with pytest.raises(DamagedError, match="does not fit the network"):
        other.resume()


def test_a_checkpoint_without_the_running_mean_is_refused(tmp_path: Path, make_batch: MakeBatch) -> None:
    run(tmp_path, make_batch)
    other = fit(tmp_path, make_batch, config=replace(CONFIG, optimizer=OptimizerConfig()))
    with pytest.raises(DamagedError, match="trained with another ema"):
        other.resume()
