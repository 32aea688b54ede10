"""The default way of deciding, as everything else sees it."""

import numpy as np

from block_cube import block_cube
from ewval.core.forest.candidates import CANDIDATE_NAMES, survey
from ewval.core.graph.graph import build_graph


def test_every_number_of_a_candidate_has_a_name() -> None:
    cube = block_cube()
    graph = build_graph(cube["image"], cube["labels"])
    around = survey(graph, np.zeros(len(graph.pairs)))
    inside = np.zeros(len(graph.ids), dtype=bool)
    inside[0] = True
    _, numbers = around.candidates(inside, seed_voxels=float(graph.voxels[0]))
    assert numbers.shape[1] == len(CANDIDATE_NAMES) == len(set(CANDIDATE_NAMES))
