"""The names of a graph's columns are those of what is measured."""

from block_cube import block_cube
from ewval.core.graph.graph import build_graph
from ewval.core.graph.names import CONTACT_NAMES, SEGMENT_NAMES


def test_every_number_that_is_measured_has_its_name() -> None:
    cube = block_cube()
    graph = build_graph(cube["image"], cube["labels"])
    assert graph.evidence_names == CONTACT_NAMES
    assert graph.segment_names == SEGMENT_NAMES
    assert len(set(CONTACT_NAMES)) == len(CONTACT_NAMES)
