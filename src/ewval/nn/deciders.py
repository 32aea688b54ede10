"""Networks that decide: by their voxels pooled over segments, or by joining segment after segment."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ewval.core.errors import DamagedError
from ewval.core.models.card import ModelCard, decisive
from ewval.core.models.decider import Decider, VoxelOutputs
from ewval.core.segments.decision import (
    Candidates,
    Decision,
    Looks,
    Question,
    decide_candidates,
    rounded,
)
from ewval.core.segments.verdicts import DECIMALS, SegmentTable, Thresholds, decide
from ewval.core.segments.views import ViewSource
from ewval.nn.data.batches import collate
from ewval.nn.joining.joining import Scene, join, looking
from ewval.nn.joining.rule import join_rules
from ewval.nn.looks import ALL_FLIPS, NO_FLIP, VoxelMaps, check_finite, voxel_maps
from ewval.nn.shards import own_device
from ewval.nn.weights import Model, model_from, read_checkpoint

__all__ = ["JoiningDecider", "VoxelDecider", "decider_for", "decider_from", "decider_from_checkpoint"]

COMPARED_LOOPS = (4, 1)
"""Of a network that runs over its own answer: as trained by the seed system, and without recurrence."""


class _Networks:
    """What all deciders with networks have in common."""

    def __init__(self, models: Sequence[Model]) -> None:
        self.models = tuple(models)

    @property
    def name(self) -> str:
        """The networks' names."""
        return "+".join(model.card.name for model in self.models)

    @property
    def cards(self) -> Sequence[ModelCard]:
        """The networks' cards."""
        return [model.card for model in self.models]

    @property
    def identity(self) -> Mapping[str, Any]:
        """Checksums of the tensors, and what of the cards decides."""
        return {"networks": [{"weights": _digest(model), **decisive(model.card)} for model in self.models]}

    @property
    def needs_labels(self) -> bool:
        """Whether one of them looks at the boundaries of segments."""
        return any(getattr(model.network.config, "boundary", False) for model in self.models)

    @property
    def context(self) -> int:
        """What the hungriest wants."""
        return max(model.card.context for model in self.models)

    @property
    def loops(self) -> int | None:
        """Those of the first one's card."""
        return self.models[0].card.loops

    @torch.inference_mode()
    def voxels(self, question: Question, *, sources: ViewSource, looks: Looks) -> VoxelOutputs:
        """Return the mean of the networks' own outputs."""
        del sources
        outputs = [_outputs(model, question, looks) for model in self.models]
        logits, sigma = (np.mean([output[part] for output in outputs], axis=0) for part in (0, 1))
        return logits, sigma


class VoxelDecider(_Networks):
    """Networks that speak of voxels: these pooled over segments, then growth over touching segments."""

    @property
    def reads_graph(self) -> bool:
        """It sees voxels."""
        return False

    @property
    def compared_loops(self) -> tuple[int, ...]:
        """With recurrence and without."""
        return COMPARED_LOOPS

    def decide(self, questions: Sequence[Question], *, sources: ViewSource, looks: Looks) -> list[Decision]:
        """Return the decision on each question.

        The probability of a segment is the mean over networks of the mean over looks; the spread is between all of
        these.
        """
        del sources
        samples = [question.sample for question in questions]
        flips = ALL_FLIPS if looks.tta else NO_FLIP
        maps = [
            voxel_maps(m, samples, loops=looks.loops, flips=flips, device=m.device, batch_size=looks.batch_size)
            for m in self.models
        ]
        return [self._pool(of_one, q) for q, of_one in zip(questions, zip(*maps, strict=True), strict=True)]

    def pooled_with(self, others: Sequence[Decider]) -> Decider | None:
        """Return one decider of all networks where the others speak of voxels, too."""
        alike = [other for other in others if isinstance(other, VoxelDecider)]
        if len(alike) < len(others):
            return None
        return VoxelDecider([*self.models, *(model for other in alike for model in other.models)])

    def _pool(self, maps: Sequence[VoxelMaps], question: Question) -> Decision:
        view, thresholds = question.view, _thresholds(self.models)
        pooled = [np.stack([view.pooling.mean(look) for look in one.probability]) for one in maps]
        of_models = np.stack([looks.mean(axis=0) for looks in pooled])
        between_looks = np.stack([looks.var(axis=0) for looks in pooled]).mean(axis=0)
        chance = np.mean([one.probability.mean(axis=0) for one in maps], axis=0)
        table = SegmentTable(
            ids=view.pooling.ids,
            voxels=view.pooling.voxels,
            probability=rounded(of_models.mean(axis=0)),
            spread=np.sqrt(between_looks + of_models.var(axis=0)).round(DECIMALS),
            inside=view.pooling.share(chance > 0.5),
            dark=question.dark,
        )
        segments = decide(table, view.pairs, seed=question.seed, thresholds=thresholds)
        probability = chance.astype(np.float32)
        sigma = np.asarray(np.mean([one.sigma.mean(axis=0) for one in maps], axis=0), dtype=np.float32)
        return Decision(table, segments, view.resolution, thresholds, probability, sigma, probability > 0.5)


class JoiningDecider(_Networks):
    """A network that looks at the growing object and at its contacts, and joins one segment after the other."""

    @property
    def reads_graph(self) -> bool:
        """It weighs the contacts' evidence."""
        return True

    @property
    def compared_loops(self) -> tuple[int, ...]:
        """Only what its card says: every loop joins one more step of segments."""
        return (self.models[0].card.loops,)

    def decide(self, questions: Sequence[Question], *, sources: ViewSource, looks: Looks) -> list[Decision]:
        """Return the decision on each question."""
        return [self._join(question, sources, looks) for question in questions]

    def pooled_with(self, others: Sequence[Decider]) -> Decider | None:
        """Return None: each network grows an object of its own."""
        del others
        return None

    def _join(self, question: Question, sources: ViewSource, looks: Looks) -> Decision:
        (model,), sample = self.models, question.sample
        card, graph = model.card, sources.graph(sample.volume, sample.image, sample.labels)
        assert card.joining is not None
        joined = join(
            looking(model, sample, flips=ALL_FLIPS if looks.tta else NO_FLIP, device=model.device),
            Scene(question.view, graph, sample.labels, sample.seed),
            question.seed,
            rule=join_rules(card.joining)[graph.resolution],
            least=card.add_threshold,
            loops=card.loops if looks.loops is None else looks.loops,
        )
        found = Candidates(joined.ids, joined.probability, joined.added, joined.spread)
        return decide_candidates(found, question, graph, _thresholds(self.models))


def decider_from(card: ModelCard, arrays: Mapping[str, NDArray[Any]], *, device: str, what: str) -> Decider:
    """Return the decider that was written as `card` and `arrays`, on `device`.

    Raises:
        DamagedError: They do not fit each other; `what` names the file.
        DeviceError: The device is not there.
    """
    return decider_for(model_from(card, arrays, what=what), device=device, what=what)


def decider_from_checkpoint(path: Path, *, device: str) -> Decider:
    """Return the decider of a checkpoint or of the seed system's state dict.

    Raises:
        DamagedError: It is neither.
        DeviceError: The device is not there.
    """
    return decider_for(read_checkpoint(path), device=device, what=f"model {path}")


def decider_for(model: Model, *, device: str = "cpu", what: str = "the model") -> Decider:
    """Return who decides with a network, in the way that its card names."""
    model.network.to(own_device(device)).eval()
    if model.card.joining is None:
        return VoxelDecider([model])
    try:
        join_rules(model.card.joining)
    except ValueError as error:
        raise DamagedError(what, str(error)) from error
    return JoiningDecider([model])


def _outputs(model: Model, question: Question, looks: Looks) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    batch = collate([question.sample]).to(model.device)
    context = batch.context[:, batch.context.shape[1] - model.card.context :]
    inputs = (batch.image, batch.seed, batch.confidence, context, batch.boundary)
    logits, sigma = model.network(*inputs, loops=model.card.loops if looks.loops is None else looks.loops)
    check_finite(model, logits, sigma)
    return logits[0].float().cpu().numpy(), sigma[0].float().cpu().numpy()


def _digest(model: Model) -> str:
    if model.card.sha256 is not None:
        return model.card.sha256
    digest = hashlib.sha256()
    for name, tensor in sorted(model.network.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _thresholds(models: Sequence[Model]) -> Thresholds:
    """Those of the card; for several networks, whose probabilities are means, the mean of the cards."""
    return Thresholds(
        add=float(np.mean([model.card.add_threshold for model in models])),
        maybe=float(np.mean([model.card.maybe_threshold for model in models])),
    )
