"""Variations move everything together and depend on nothing but seed, turn and task."""

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
import torch

from ewval.nn.data.batches import Batch
from ewval.nn.training.augment import (
    DEFECTS,
    FULL,
    PLAIN,
    AugmentConfig,
    add_noise,
    augment,
    blur_sections,
    change_intensity,
    join,
    lose_part,
    lose_sections,
    part,
    shift_sections,
    split,
)
from ewval.nn.training.symmetry import Symmetry

MakeBatch = Callable[..., Batch]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def same(a: Batch, b: Batch) -> bool:
    pairs = [(getattr(a, field.name), getattr(b, field.name)) for field in fields(Batch)]
    return all(one is other if one is None else torch.equal(one, other) for one, other in pairs)


def marked(batch: Batch) -> Batch:
    """Every array is a copy of one, so that what moves together stays equal."""
    only = batch.target
    assert only is not None
    return replace(
        batch, image=only, seed=only, confidence=only, boundary=only, context=torch.stack([only, only], dim=1)
    )


def test_a_shifted_section_takes_masks_and_context_along(make_batch: MakeBatch) -> None:
    for seed in range(5):
        moved = shift_sections(marked(make_batch()), generator(seed))
        for array in (moved.image, moved.seed, moved.context[:, 0]):
            assert torch.equal(array, moved.target)  # type: ignore[arg-type]


def test_a_shift_leaves_the_first_sections_and_moves_later_ones(make_batch: MakeBatch) -> None:
    batch = make_batch()
    moved = [shift_sections(batch, generator(seed)) for seed in range(4)]
    assert all(torch.equal(one.image[:, 0], batch.image[:, 0]) for one in moved)
    assert any(not torch.equal(one.image, batch.image) for one in moved)


@pytest.mark.parametrize("change", [lose_sections, lose_part, blur_sections, change_intensity, add_noise])
def test_a_defect_changes_the_image_alone_and_not_in_place(make_batch: MakeBatch, change: Callable[..., Batch]) -> None:
    batch = make_batch()
    before = batch.image.clone()
    changed = change(batch, generator())
    assert torch.equal(batch.image, before)
    assert not torch.equal(changed.image, before)
    assert same(replace(changed, image=before), batch)
    assert 0 <= changed.image.min().item() <= changed.image.max().item() <= 255


def test_a_sample_is_varied_alike_in_any_batch(make_batch: MakeBatch) -> None:
    batch = make_batch(4)
    together = augment(batch, FULL, seed=3, turn=7)
    alone = join([augment(one, FULL, seed=3, turn=7) for one in split(batch)])
    assert same(together, alone)


@pytest.mark.parametrize(("seed", "turn"), [(4, 7), (3, 8)])
def test_another_seed_or_turn_varies_otherwise(make_batch: MakeBatch, seed: int, turn: int) -> None:
    batch = make_batch(6)
    assert not same(augment(batch, FULL, seed=seed, turn=turn), augment(batch, FULL, seed=3, turn=7))


def test_plain_changes_nothing(make_batch: MakeBatch) -> None:
    batch = make_batch()
    assert augment(batch, PLAIN, seed=0, turn=0) is batch


def test_chances_of_one_always_act(make_batch: MakeBatch) -> None:
    batch = make_batch(8)
    noisy = augment(batch, AugmentConfig("none", noise=1.0), seed=0, turn=0)
    assert all(not torch.equal(a, b) for a, b in zip(batch.image, noisy.image, strict=True))
    assert len(DEFECTS) == 4


def test_parts_and_joins_are_each_others_inverse(make_batch: MakeBatch) -> None:
    batch = make_batch(3)
    assert same(join([part(batch, slice(0, 1)), part(batch, slice(1, 3))]), batch)


def test_a_batch_without_answers_stays_without(make_batch: MakeBatch) -> None:
    assert augment(replace(make_batch(), target=None), FULL, seed=0, turn=0).target is None


def test_values_without_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown symmetries 'some': one of none, keep-z, all"):
        AugmentConfig(symmetries="some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"chances must be in \[0, 1\]"):
        AugmentConfig(noise=1.5)
    with pytest.raises(ValueError, match="axes must be an order of 0, 1, 2"):
        Symmetry((0, 0, 1), (False, False, False))
