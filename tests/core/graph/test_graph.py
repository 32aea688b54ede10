"""The segment graph: what it measures, what it does not depend on, and its file."""

from pathlib import Path

import numpy as np
import pytest

from block_cube import block_cube
from ewval.core.errors import DamagedError
from ewval.core.graph.graph import SegmentGraph, build_graph, find_graph, load_graph, save_graph
from ewval.core.storage.arrays import write_arrays


@pytest.fixture(scope="module")
def cube() -> dict[str, np.ndarray]:
    """Image, labels and truth of a small cube."""
    return block_cube()


@pytest.fixture(scope="module")
def graph(cube: dict[str, np.ndarray]) -> SegmentGraph:
    """Its graph."""
    return build_graph(cube["image"], cube["labels"])


def column(graph: SegmentGraph, name: str) -> np.ndarray:
    return graph.evidence[:, graph.evidence_names.index(name)]


def is_same_cell(graph: SegmentGraph, cube: dict[str, np.ndarray]) -> np.ndarray:
    cell = np.zeros(int(graph.ids.max()) + 1, dtype=int)
    inside = cube["labels"] > 0
    cell[cube["labels"][inside]] = cube["truth"][inside]
    return cell[graph.ids[graph.pairs[:, 0]]] == cell[graph.ids[graph.pairs[:, 1]]]


def test_ids_and_sizes_are_those_of_the_cube(graph: SegmentGraph, cube: dict[str, np.ndarray]) -> None:
    ids, counts = np.unique(cube["labels"][cube["labels"] > 0], return_counts=True)
    assert graph.ids.tolist() == ids.tolist()
    assert graph.voxels.tolist() == counts.tolist()


def test_every_number_is_finite(graph: SegmentGraph) -> None:
    assert np.isfinite(graph.evidence).all()
    assert np.isfinite(graph.segments).all()


def test_membranes_are_darker_than_cuts(graph: SegmentGraph, cube: dict[str, np.ndarray]) -> None:
    same = is_same_cell(graph, cube)
    large = graph.area > 50
    assert column(graph, "rise_mean_3")[large & ~same].min() > column(graph, "rise_mean_3")[large & same].max()


def test_a_flat_contact_faces_one_way_and_a_thin_slab_is_thin() -> None:
    labels = np.zeros((32, 32, 32), dtype=np.uint16)
    labels[:16], labels[17:] = 5, 9
    graph = build_graph(np.full(labels.shape, 100, np.uint8), labels)
    assert column(graph, "flatness")[0] == pytest.approx(1)
    assert column(graph, "gap_1")[0] == pytest.approx(1)
    assert np.exp(column(graph, "log_area")[0]) == pytest.approx(32 * 32)
    assert column(graph, "inside_least_8")[0] == pytest.approx(1)
    assert column(graph, "inside_least_16")[0] == pytest.approx(0)
    assert graph.sides.tolist() == [[True, False, True, True, True, True], [False, True, True, True, True, True]]


def test_numbers_do_not_depend_on_brightness_or_contrast(cube: dict[str, np.ndarray], graph: SegmentGraph) -> None:
    image = (cube["image"] // 2).astype(np.uint8)
    dark = build_graph(image, cube["labels"])
    bright = build_graph((image + 90).astype(np.uint8), cube["labels"])
    np.testing.assert_allclose(dark.evidence, bright.evidence, atol=1e-3)
    close = np.abs(dark.evidence - graph.evidence)[:, graph.evidence_names.index("rise_mean_3")]
    assert close.max() < 0.5


def test_numbers_do_not_depend_on_ids(cube: dict[str, np.ndarray], graph: SegmentGraph) -> None:
    turned = (65535 - cube["labels"]).astype(np.uint16) * (cube["labels"] > 0)
    other = build_graph(cube["image"], turned.astype(np.uint16))
    assert other.ids.tolist() == (65535 - graph.ids[::-1]).tolist()
    assert sorted(other.area.tolist()) == sorted(graph.area.tolist())
    key = {(65535 - a, 65535 - b) for a, b in other.ids[other.pairs].tolist()}
    assert key == {(b, a) for a, b in graph.ids[graph.pairs].tolist()}
    np.testing.assert_allclose(
        np.sort(column(other, "window4_straight")), np.sort(column(graph, "window4_straight")), atol=1e-3
    )


def test_building_twice_gives_the_same_bits(cube: dict[str, np.ndarray], graph: SegmentGraph) -> None:
    again = build_graph(cube["image"], cube["labels"])
    assert (again.evidence == graph.evidence).all()
    assert (again.segments == graph.segments).all()


@pytest.mark.parametrize("labels", [np.zeros((16, 16, 16), np.uint16), np.full((16, 16, 16), 7, np.uint16)])
def test_a_cube_without_contacts_has_none(labels: np.ndarray) -> None:
    graph = build_graph(np.zeros(labels.shape, np.uint8), labels)
    assert len(graph.pairs) == 0
    assert len(graph.ids) == len(np.unique(labels[labels > 0]))


def test_rows_are_found_by_id_and_unknown_ids_left_out(graph: SegmentGraph) -> None:
    wanted = np.array([graph.ids[4], 65000, graph.ids[0]])
    assert graph.rows(wanted).tolist() == [4, 0]


def test_image_and_labels_must_be_of_one_shape() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        build_graph(np.zeros((16, 16, 16), np.uint8), np.zeros((16, 16, 8), np.uint16))


def test_a_graph_whose_parts_do_not_fit_is_refused(graph: SegmentGraph) -> None:
    fields = {name: getattr(graph, name) for name in SegmentGraph.__slots__}
    with pytest.raises(ValueError, match="contacts and their evidence differ in number"):
        SegmentGraph(**{**fields, "area": graph.area[1:]})
    with pytest.raises(ValueError, match="segments and their numbers differ in number"):
        SegmentGraph(**{**fields, "voxels": graph.voxels[1:]})


def test_a_saved_graph_comes_back_whole(tmp_path: Path, graph: SegmentGraph) -> None:
    path = tmp_path / "graphs" / "7.npz"
    save_graph(path, graph)
    again = load_graph(path)
    for name in SegmentGraph.__slots__:
        assert np.array_equal(getattr(again, name), getattr(graph, name)), name


def test_what_is_no_graph_is_damaged(tmp_path: Path, graph: SegmentGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "7.npz"
    save_graph(path, graph)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DamagedError, match="not a file of arrays"):
        load_graph(path)
    write_arrays(path, {"log_odds": np.zeros(3)})
    with pytest.raises(DamagedError, match="not a segment graph"):
        load_graph(path)
    monkeypatch.setattr("ewval.core.graph.graph.GRAPH_FORM", 0)
    save_graph(path, graph)
    monkeypatch.undo()
    with pytest.raises(DamagedError, match="written by another version"):
        load_graph(path)


def test_a_kept_graph_is_found_and_a_damaged_one_is_to_be_measured_again(tmp_path):
    path, cube = tmp_path / "7.npz", block_cube(edge=24, cells=4, pieces=8)
    assert find_graph(path) is None
    save_graph(path, build_graph(cube["image"], cube["labels"]))
    assert len(find_graph(path).ids)
    path.write_bytes(path.read_bytes()[:100])
    assert find_graph(path) is None
