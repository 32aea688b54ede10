from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ewval.core.sim.sample import Cube, generate_cube
from ewval.core.sim.tissue.style import Style, draw_detected, draw_retina, draw_retina_like, draw_style


@pytest.fixture(scope="module")
def cube() -> Cube:
    return generate_cube(3, edge=64, style=Style())


def overlaps(labels: NDArray[np.uint16], truth: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Voxels of each segment (row, from 1) in each neurite (column)."""
    table = np.zeros((int(labels.max()) + 1, int(truth.max()) + 1), np.int64)
    np.add.at(table, (labels, truth), 1)
    return table[1:]


def test_a_cube_has_the_documented_form(cube: Cube) -> None:
    assert (cube.image.dtype, cube.labels.dtype, cube.truth.dtype) == (np.uint8, np.uint16, np.uint32)
    assert cube.image.shape == cube.labels.shape == cube.truth.shape == (64, 64, 64)
    assert cube.truth.min() > 0
    assert set(np.unique(cube.labels)) == set(range(int(cube.labels.max()) + 1))


def test_the_same_seed_gives_the_same_cube_and_another_seed_another(cube: Cube) -> None:
    again, other = generate_cube(3, edge=64, style=Style()), generate_cube(4, edge=64, style=Style())
    assert (again.image == cube.image).all()
    assert (again.labels == cube.labels).all()
    assert (again.truth == cube.truth).all()
    assert (other.image != cube.image).mean() > 0.5


def test_neurites_are_cut_into_several_segments_and_few_segments_are_merged(cube: Cube) -> None:
    table = overlaps(cube.labels, cube.truth)
    sizes = table.sum(1)
    purity = table.max(1) / sizes
    assert len(table) > 3 * len(np.unique(cube.truth))
    assert 0.1 < (cube.labels == 0).mean() < 0.36
    assert 0.9 < purity @ sizes / sizes.sum() <= 1
    assert (purity < 0.8).any()


def test_membranes_are_darker_than_cytoplasm(cube: Cube) -> None:
    edge = np.zeros(cube.truth.shape, bool)
    for axis in range(3):
        edge |= cube.truth != np.roll(cube.truth, 1, axis)
    inner = edge[1:, 1:, 1:]
    image = cube.image[1:, 1:, 1:]
    assert image[inner].mean() < image[~inner].mean() - 15


def test_merging_and_splitting_do_what_they_say() -> None:
    def cut(**options: float) -> NDArray[np.int64]:
        made = generate_cube(8, edge=64, style=Style(gaps=0, **options))  # type: ignore[arg-type]
        return overlaps(made.labels, made.truth)

    plain, split, merged = cut(splitting=0, merging=0), cut(splitting=1.5, merging=0), cut(splitting=0, merging=0.2)
    assert len(split) > len(plain)
    assert merged.max(1).sum() / merged.sum() < plain.max(1).sum() / plain.sum()


def test_a_detector_that_is_told_of_the_membranes_merges_less_in_what_it_cannot_see() -> None:
    def shared_by_several(told: float) -> float:
        style = replace(Style(), membrane=35.0, noise=14.0, from_image=True, told=told)
        made = generate_cube(8, edge=96, style=style)
        table = overlaps(made.labels, made.truth)
        sizes = table.sum(1)
        return float(sizes[table.max(1) < 0.9 * sizes].sum() / sizes.sum())

    assert shared_by_several(0.6) < shared_by_several(0.3) < shared_by_several(0.0)


def test_styles_vary() -> None:
    drawn = [draw_style(np.random.default_rng(seed)) for seed in range(20)]
    assert len(set(drawn)) == 20
    assert np.std([style.membrane for style in drawn]) > 10


def test_styles_about_retina_vary_more_than_retina_on_either_side_of_it() -> None:
    exact, about = (
        [draw(np.random.default_rng(n)).membrane for n in range(20)] for draw in (draw_retina, draw_retina_like)
    )
    assert min(about) < min(exact)
    assert max(about) > max(exact)


def test_looks_of_every_kind_can_be_segmented_by_what_is_seen_in_them() -> None:
    drawn = [draw_detected(np.random.default_rng(seed)) for seed in range(20)]
    assert len(set(drawn)) == 20
    assert np.std([style.membrane for style in drawn]) > 10
    assert all(style.from_image and 0.5 <= style.told <= 0.9 for style in drawn)
    assert {style.lines for style in drawn} == {False, True}


@pytest.mark.parametrize("edge", [30, 65, 0])
def test_an_impossible_edge_is_refused(edge: int) -> None:
    with pytest.raises(ValueError, match=f"edge {edge} is not an even number from 32"):
        generate_cube(0, edge=edge)
