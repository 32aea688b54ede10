"""Checkpoints of training: all that is needed to go on as if nothing had happened, in one file written atomically."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ewval.core.errors import DamagedError
from ewval.core.models.files import CARD_KEY
from ewval.core.storage.files import replacing
from ewval.nn.training.optimization import RunningMean
from ewval.nn.weights import read_pickled

FORMAT = 1
KEYS = frozenset({"format", CARD_KEY, "network", "ema", "optimizer", "position", "random"})


@dataclass(slots=True)
class Position:
    """Where training stands.

    Args:
        epoch: The epoch under way, from 0.
        batch: Batches of it that are done.
        step: Steps since the beginning.
        best: Lowest validation loss so far, infinite before the first.
        stale: Epochs since then.
        loss_sum: Sum of the losses of the epoch's samples.
        samples: How many these are.
        seconds: Time spent training, all sessions together.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: float = float("inf")
    stale: int = 0
    loss_sum: float = 0.0
    samples: int = 0
    seconds: float = 0.0


def save_checkpoint(
    path: Path,
    *,
    card: str,
    network: nn.Module,
    ema: RunningMean | None,
    optimizer: torch.optim.Optimizer,
    position: Position,
) -> None:
    """Write the state of training to `path`: the old file or the new one is there at any moment, whole.

    Raises:
        OSError: It cannot be written.
    """
    content = {
        "format": FORMAT,
        CARD_KEY: card,
        "network": network.state_dict(),
        "ema": None if ema is None else ema.state_dict(),
        "optimizer": optimizer.state_dict(),
        "position": asdict(position),
        "random": _random_state(),
    }
    with replacing(path) as temporary:
        torch.save(content, temporary)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint.

    Raises:
        DamagedError: It is not whole, or no checkpoint of this format.
    """
    content = read_pickled(path)
    if not isinstance(content, dict) or content.keys() != KEYS or content["format"] != FORMAT:
        raise DamagedError(f"checkpoint {path}", "it does not hold the state of a training run")
    return content


def restore(
    content: dict[str, Any],
    *,
    network: nn.Module,
    ema: RunningMean | None,
    optimizer: torch.optim.Optimizer,
    what: str,
) -> Position:
    """Put the state of a checkpoint into `network`, `ema`, `optimizer` and the random generators; return the position.

    Raises:
        DamagedError: It is the state of another network or of other options; `what` names it.
    """
    if (ema is None) != (content["ema"] is None):
        raise DamagedError(what, "it was trained with another ema")
    try:
        network.load_state_dict(content["network"])
        optimizer.load_state_dict(content["optimizer"])
        if ema is not None:
            ema.load_state_dict(content["ema"])
        _restore_random_state(content["random"])
        return Position(**content["position"])
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(what, f"it does not fit the network: {str(error).splitlines()[0]}") from error


def _random_state() -> dict[str, Any]:
    on_gpu = list(torch.cuda.get_rng_state_all()) if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": on_gpu}


def _restore_random_state(saved: dict[str, Any]) -> None:
    torch.set_rng_state(saved["cpu"])
    on_gpu: list[Tensor] = saved["cuda"]
    if torch.cuda.is_available() and len(on_gpu) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(on_gpu)
