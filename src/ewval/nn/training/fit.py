"""A whole training: epochs, validation, early stop, and a run folder that can be continued at any moment."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from ewval.core.errors import DivergedError
from ewval.core.models.card import ModelCard
from ewval.core.progress import SILENT, Progress
from ewval.core.storage.files import make_folder, writing
from ewval.core.training.interrupt import StopRequest
from ewval.core.training.run_folder import MetricsLog, RunFolder, read_metrics
from ewval.nn.data.batches import Batch
from ewval.nn.networks.architectures import network_config
from ewval.nn.training.checkpoint import Position, read_checkpoint, restore, save_checkpoint
from ewval.nn.training.curves import draw_curves
from ewval.nn.training.step import StepResult, Trainer, Validation, swap_back, swap_in
from ewval.nn.weights import Model, save_network

SAVE_INTERVAL_S = 300.0


class Board(Protocol):
    """Where curves are also shown, such as TensorBoard."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> object:
        """Show one number."""


class BatchSource(Protocol):
    """What is trained on: some number of batches an epoch, in an order that depends on the epoch alone."""

    def __len__(self) -> int:
        """Return how many batches an epoch has, for each process."""

    def epoch(self, number: int, *, skip: int) -> Iterable[Batch]:
        """Return the batches of epoch `number` (from 0) without the first `skip`."""


@dataclass(frozen=True, slots=True)
class FitPlan:
    """How long to train.

    Args:
        epochs: Times through the source.
        steps: Where set, the number of steps instead, epochs repeated as needed.
        patience: Epochs without a lower validation loss before training stops; 0 never stops early.
        save_interval_s: Seconds between checkpoints within an epoch.
    """

    epochs: int = 4
    steps: int | None = None
    patience: int = 4
    save_interval_s: float = SAVE_INTERVAL_S

    def total(self, batches: int) -> int:
        """Return the number of steps, with `batches` in an epoch."""
        return self.epochs * batches if self.steps is None else self.steps


@dataclass(frozen=True, slots=True)
class FitSummary:
    """How a training ended: `why` is done, early (stopped early), interrupted or nothing (it was done before)."""

    why: str
    steps: int
    epochs: int
    best_loss: float | None
    seedless_iou: float | None
    seconds: float


class Fit:
    """One training run in its folder.

    Args:
        trainer: Network, optimizer and step.
        source: What is trained on.
        validation: Gives the batches to validate with; an empty iterable where there are none.
        folder: Where everything goes; made if it is not there.
        card: Of the model that comes out; loss, loops, configuration and scores are filled in.
        plan: How long.
        progress: Hears of each step.
        board: TensorBoard's writer, or None.
    """

    def __init__(
        self,
        trainer: Trainer,
        source: BatchSource,
        *,
        validation: Callable[[], Iterable[Batch]],
        folder: RunFolder,
        card: ModelCard,
        plan: FitPlan,
        progress: Progress = SILENT,
        board: Board | None = None,
    ) -> None:
        self.trainer, self.source, self.validation = trainer, source, validation
        self.folder, self.plan, self.progress, self.board = folder, plan, progress, board
        network = trainer.network
        self.card = replace(
            card, loss=trainer.config.loss.name, loops=trainer.config.loops, config=network_config(network)
        )
        self.position = Position()
        self.validated: Validation | None = None

    def resume(self) -> None:
        """Go on from the last checkpoint.

        Raises:
            DamagedError: It is not whole, or of another network.
        """
        content = read_checkpoint(self.folder.last)
        trainer = self.trainer
        self.position = restore(
            content,
            network=trainer.network,
            ema=trainer.ema,
            optimizer=trainer.optimizer,
            what=f"checkpoint {self.folder.last}",
        )

    def run(self) -> FitSummary:
        """Train until the plan is fulfilled, the patience is over or someone asks to stop; return how it ended.

        Raises:
            DivergedError: The loss is no longer a number; the last checkpoint stays as it was.
            MemoryShortError: A sample does not fit the memory.
        """
        total = self.plan.total(len(self.source))
        if self._is_over(total):
            return self._summary("nothing")
        self.progress.start(total - self.position.step, unit="steps")
        if self.trainer.team.is_first:
            with writing(self.folder.root):
                make_folder(self.folder.root)
        log = self._open_log()
        try:
            with StopRequest() as stop:
                while not self._is_over(total) and not self._asked(stop):
                    self._epoch(total, stop=stop, log=log)
                interrupted = self._asked(stop) and not self._is_over(total)
        finally:
            if log is not None:
                log.close()
        return self._summary("interrupted" if interrupted else "early" if self.position.step < total else "done")

    def _is_over(self, total: int) -> bool:
        stale = bool(self.plan.patience) and self.position.stale >= self.plan.patience
        return self.position.step >= total or stale

    def _asked(self, stop: StopRequest) -> bool:
        # All processes stop at the same step, whichever of them was asked.
        return self.trainer.team.sum([float(stop.is_set)])[0] > 0

    def _open_log(self) -> MetricsLog | None:
        return MetricsLog(self.folder.metrics, step=self.position.step) if self.trainer.team.is_first else None

    def _epoch(self, total: int, *, stop: StopRequest, log: MetricsLog | None) -> None:
        here = self.position
        saved_at = time.monotonic()
        for batch in self.source.epoch(here.epoch, skip=here.batch):
            result = self.trainer.step(batch, step=here.step, epoch=here.epoch, total_steps=total)
            self._count(result, log)
            asked = self._asked(stop)
            if here.step >= total or asked:
                break
            if self._is_due(saved_at):
                self._save(self.folder.last)
                saved_at = time.monotonic()
        if here.batch >= len(self.source) or here.step >= total:
            self._finish_epoch(log)
        else:
            self._save(self.folder.last)

    def _is_due(self, saved_at: float) -> bool:
        return time.monotonic() - saved_at >= self.plan.save_interval_s

    def _count(self, result: StepResult, log: MetricsLog | None) -> None:
        here = self.position
        here.step, here.batch = here.step + 1, here.batch + 1
        here.loss_sum, here.samples = here.loss_sum + result.loss * result.samples, here.samples + result.samples
        here.seconds += result.seconds
        self.progress.note(f"loss {result.loss:.4f}")
        self.progress.advance()
        if log is not None:
            log.write({"kind": "step", **asdict(result), "samples_per_s": result.samples / result.seconds})
        if self.board is not None:
            self.board.add_scalar("train/loss", result.loss, result.step)
            self.board.add_scalar("train/learning_rate", result.learning_rate, result.step)

    def _finish_epoch(self, log: MetricsLog | None) -> None:
        here = self.position
        found = self.trainer.validate(self.validation())
        if found.samples and not math.isfinite(found.loss):
            raise DivergedError(here.step - 1, f"validation loss {found.loss}")
        train_loss = here.loss_sum / max(here.samples, 1)
        judged = found.loss if found.samples else train_loss
        is_best = judged < here.best
        here.best, here.stale = min(here.best, judged), 0 if is_best else here.stale + 1
        step = here.step - 1
        epoch = here.epoch
        here.epoch, here.batch, here.loss_sum, here.samples = epoch + 1, 0, 0.0, 0
        self.validated = found
        if log is not None:
            log.write(_epoch_line(epoch, step=step, train_loss=train_loss, found=found, is_best=is_best))
        if self.board is not None and found.samples:
            self.board.add_scalar("val/loss", found.loss, step)
            self.board.add_scalar("val/seedless_iou", found.seedless_iou, step)
        if self.trainer.team.is_first:
            if is_best:
                self._save_best(found, train_loss)
            self._save(self.folder.last)
            draw_curves(self.folder.picture, read_metrics(self.folder.metrics))

    def _save_best(self, found: Validation, train_loss: float) -> None:
        scores: Mapping[str, Any] = {"train_loss": train_loss, **(_scores(found))}
        trained = {**self.card.training, "steps": self.position.step, "seconds": round(self.position.seconds)}
        self.card = replace(self.card, scores=scores, training=trained)
        self._save(self.folder.best)
        kept = swap_in(self.trainer.network, self.trainer.ema)
        save_network(self.folder.model, Model(self.card, self.trainer.network))
        swap_back(self.trainer.network, kept)

    def _save(self, path: Any) -> None:
        if self.trainer.team.is_first:
            trainer = self.trainer
            save_checkpoint(
                path,
                card=self.card.to_json(),
                network=trainer.network,
                ema=trainer.ema,
                optimizer=trainer.optimizer,
                position=self.position,
            )

    def _summary(self, why: str) -> FitSummary:
        here, found = self.position, self.validated
        return FitSummary(
            why=why,
            steps=here.step,
            epochs=here.epoch,
            best_loss=here.best if math.isfinite(here.best) else None,
            seedless_iou=found.seedless_iou if found is not None and found.samples else None,
            seconds=here.seconds,
        )


def _scores(found: Validation) -> dict[str, Any]:
    if not found.samples:
        return {}
    return {"val_loss": found.loss, "val_seedless_iou": found.seedless_iou, "val_samples": found.samples}


def _epoch_line(epoch: int, *, step: int, train_loss: float, found: Validation, is_best: bool) -> dict[str, Any]:
    return {
        "kind": "epoch",
        "epoch": epoch,
        "step": step,
        "train_loss": train_loss,
        "val_loss": found.loss if found.samples else None,
        "val_seedless_iou": found.seedless_iou if found.samples else None,
        "is_best": is_best,
    }
