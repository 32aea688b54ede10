"""The symmetries of a cube, applied to all arrays of a batch alike."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from ewval.nn.data.batches import Batch
from ewval.nn.training.symmetry import move, symmetries

MakeBatch = Callable[..., Batch]


def marked(batch: Batch) -> Batch:
    """Every array is a copy of one, so that what moves together stays equal."""
    only = batch.target
    assert only is not None
    return replace(
        batch, image=only, seed=only, confidence=only, boundary=only, context=torch.stack([only, only], dim=1)
    )


@pytest.mark.parametrize(("keep_z", "count"), [(True, 16), (False, 48)])
def test_all_symmetries_differ_and_only_move_voxels(keep_z: bool, count: int) -> None:
    array = torch.arange(2 * 4**3).reshape(2, 4, 4, 4)
    results = [symmetry(array) for symmetry in symmetries(keep_z=keep_z)]
    assert len({tuple(result.flatten().tolist()) for result in results}) == count
    assert all(torch.equal(result.flatten().sort().values, array.flatten().sort().values) for result in results)
    assert torch.equal(results[0], array)


def test_the_default_symmetries_keep_sections_together() -> None:
    array = torch.arange(4).reshape(4, 1, 1).expand(4, 4, 4)
    for symmetry in symmetries():
        turned = symmetry(array)
        assert all(bool((section == section[0, 0]).all()) for section in turned)


@pytest.mark.parametrize("index", range(0, 48, 5))
def test_a_symmetry_moves_image_masks_and_context_together(make_batch: MakeBatch, index: int) -> None:
    moved = move(marked(make_batch()), symmetries(keep_z=False)[index])
    for array in (moved.image, moved.seed, moved.confidence, moved.boundary, moved.context[:, 0], moved.context[:, 1]):
        assert torch.equal(array, moved.target)  # type: ignore[arg-type]
