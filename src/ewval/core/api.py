"""ewval from Python: load a model by name or path, give it arrays, get arrays or segments.

These names stand in the package itself: `ewval.load_model`, `ewval.predict_voxels`, `ewval.predict_segments`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ewval.core.constants import CUBE_EDGE, ELSEWHERE_CONFIDENCE, PACKED_EDGE, SEED_CONFIDENCE
from ewval.core.errors import UsageError
from ewval.core.models.decider import Decider
from ewval.core.models.registry import load_decider as load_model
from ewval.core.predict.prediction import check_numbers, predict_questions
from ewval.core.segments.decision import Looks, Question, ask
from ewval.core.segments.verdicts import SegmentScore
from ewval.core.segments.views import GraphView, VolumeView, graph_of_packed, view_volume
from ewval.core.tasks.samples import Sample
from ewval.core.volumes.downsample import downsample_labels

__all__ = ["Decider", "SegmentScore", "load_model", "predict_segments", "predict_voxels"]

PACKED = (PACKED_EDGE,) * 3
FULL = (CUBE_EDGE,) * 3


def predict_voxels(
    model: Decider,
    image: ArrayLike,
    seed: ArrayLike,
    previous: ArrayLike | None = None,
    *,
    labels: ArrayLike | None = None,
    loops: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the logits and the sigma of every voxel, float32 [n, 64, 64, 64] each.

    A voxel belongs to the neuron where its logit is positive. A model that decides over segments says of each voxel
    what it says of its segment, and 1 for the sigma, which only networks state.

    Args:
        model: From `load_model`.
        image: [n, 64, 64, 64], z y x, 0 black to 255.
        seed: bool [n, 64, 64, 64], what is known to belong to the neuron.
        previous: bool [n, 2, 64, 64, 64], the neuron as it is known from the tasks before, moved into this cube's
            frame, the oldest first; None where there is none.
        labels: Segment ids, [n, 64, 64, 64] or [n, 256, 256, 256]; models that look at the boundaries of segments
            need them.
        loops: Runs of the network over its own answer; default: as the model's card says.

    Raises:
        UsageError: An array of the wrong shape, or no labels for a model that needs them.
    """
    if labels is None and model.needs_labels:
        raise UsageError(f"model {model.name} looks at where segments meet: give it labels")
    questions = _questions(model, image, seed, previous, labels)
    sources, looks = _Views([question.view for question in questions]), Looks(loops=loops)
    outputs = [model.voxels(question, sources=sources, looks=looks) for question in questions]
    logits, sigma = (np.stack([output[part] for output in outputs]) for part in (0, 1))
    return logits, sigma


def predict_segments(
    model: Decider,
    image: ArrayLike,
    seed: ArrayLike,
    previous: ArrayLike | None = None,
    *,
    labels: ArrayLike,
    loops: int | None = None,
    tta: bool = False,
) -> list[tuple[SegmentScore, ...]]:
    """Return the candidate segments of every cube with probability, uncertainty and verdict, most probable first.

    Args:
        model: From `load_model`.
        image: As for `predict_voxels`, as are `seed`, `previous` and `loops`.
        seed: The seed's voxels.
        previous: The tasks before.
        labels: Segment ids, [n, 64, 64, 64], or [n, 256, 256, 256] to score the small segments too.
        loops: Runs of the network over its own answer.
        tta: Average over the eight mirrorings of the cube.

    Raises:
        UsageError: An array of the wrong shape.
    """
    questions = _questions(model, image, seed, previous, labels)
    sources = _Views([question.view for question in questions])
    predictions = predict_questions(model, questions, sources=sources, looks=Looks(loops=loops, tta=tta))
    return [check_numbers(prediction).segments for prediction in predictions]


class _Views:
    """The views of arrays in memory, numbered as their samples are."""

    def __init__(self, views: Sequence[VolumeView]) -> None:
        self._views = views

    def view(self, volume: int, packed: NDArray[np.uint16]) -> VolumeView:
        """Return the view of the cube numbered `volume`."""
        del packed
        return self._views[volume]

    def graph(self, volume: int, image: NDArray[np.uint8], packed: NDArray[np.uint16]) -> GraphView:
        """Return the graph of the cube numbered `volume`; its image is known at 64^3 alone."""
        del volume
        return graph_of_packed(image, packed)


def _questions(
    model: Decider, image: ArrayLike, seed: ArrayLike, previous: ArrayLike | None, labels: ArrayLike | None
) -> list[Question]:
    images = _shaped("image", np.asarray(image), PACKED)
    seeds = _shaped("seed", np.asarray(seed).astype(bool), PACKED)
    count, context = len(images), (model.context, *PACKED)
    known = np.zeros((count, *context), bool) if previous is None else _latest(previous, count=model.context)
    ids = np.zeros((count, *PACKED), np.uint16) if labels is None else np.asarray(labels)
    arrays = (seeds, _shaped("previous", known, context), _shaped("labels", ids, PACKED, FULL))
    if any(len(array) != count for array in arrays):
        raise UsageError(
            f"image, seed, previous and labels hold {count}, {', '.join(str(len(a)) for a in arrays)} cubes"
        )
    return [_question(index, images[index], *(array[index] for array in arrays)) for index in range(count)]


def _latest(previous: ArrayLike, *, count: int) -> NDArray[np.bool_]:
    """Return what a model looks at of the tasks before: the latest `count`, which stand last."""
    masks = np.asarray(previous).astype(bool)
    surplus = masks.shape[1] - count if masks.ndim > 1 else 0
    return masks[:, max(surplus, 0) :]


def _question(
    index: int,
    image: NDArray[np.generic],
    seed: NDArray[np.bool_],
    context: NDArray[np.bool_],
    labels: NDArray[np.uint16],
) -> Question:
    full = labels.astype(np.uint16) if labels.shape == FULL else None
    packed = labels.astype(np.uint16) if full is None else downsample_labels(full, factor=CUBE_EDGE // PACKED_EDGE)
    sample = Sample(
        task=index,
        volume=index,
        cell=-1,
        image=np.clip(image, 0, 255).astype(np.uint8),
        labels=packed,
        seed=seed,
        confidence=np.where(seed, np.float32(SEED_CONFIDENCE), np.float32(ELSEWHERE_CONFIDENCE)),
        context=context,
        target=None,
    )
    shown = np.unique(packed[seed])
    return ask(sample, shown[shown > 0].tolist(), view_volume(index, packed, full=full))


def _shaped(name: str, array: NDArray[Any], *shapes: tuple[int, ...]) -> NDArray[Any]:
    if array.shape[1:] not in shapes:
        wanted = " or ".join(f"n x {' x '.join(map(str, shape))}" for shape in shapes)
        raise UsageError(f"{name} has shape {' x '.join(map(str, array.shape))} instead of {wanted}")
    return array
