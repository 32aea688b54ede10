"""The segment head learns small cubes, answers cells it has not seen, and leaks nothing."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from block_cube import block_volume
from counted import Counted
from ewval.core.errors import DamagedError
from ewval.core.forest import away as away_module
from ewval.core.forest import learn as learning
from ewval.core.forest.boosting import BoostingConfig, Forest
from ewval.core.forest.candidates import CANDIDATE_NAMES, survey
from ewval.core.forest.examples import draw_candidates, draw_cells, draw_pairs
from ewval.core.forest.fit import FittedHead, _deal, fit_head
from ewval.core.forest.growth import Growth
from ewval.core.forest.labelled import LabelledVolume, VolumeKind, known_pairs, surroundings_of
from ewval.core.forest.labelled_folder import share_out
from ewval.core.forest.learn import LearnConfig, learn_candidates, learn_pairs
from ewval.core.forest.model import SegmentHead
from ewval.core.forest.states import SamplingConfig, draw_seed, sample_states
from ewval.core.forest.tune import MAYBE_BOUNDS, Trial, tune
from ewval.core.graph.graph import build_graph
from ewval.core.graph.names import CONTACT_NAMES

SMALL = LearnConfig(
    pairs=BoostingConfig(trees=12, depth=3, rate=0.3, least_weight=1.0, ridge=1.0),
    candidates=BoostingConfig(trees=12, depth=3, rate=0.3, row_share=0.7, least_weight=1.0, ridge=1.0),
    sampling=SamplingConfig(growths=2, least=0, states=3),
    rounds=1,
    draws=1,
)


def labelled(seed: int) -> LabelledVolume:
    """A small cube; each cell has a task that begins with its largest segment."""
    volume = block_volume(seed)
    voxels = volume.graph.voxels
    seeds = {cell: (rows[[voxels[rows].argmax()]],) for cell, rows in volume.cells.items()}
    return replace(volume, name=f"blocks{seed % 2}/{seed}", seeds=seeds)


@pytest.fixture(scope="module")
def volumes() -> list[LabelledVolume]:
    """Two cubes to learn from."""
    return [labelled(3), labelled(4)]


@pytest.fixture(scope="module")
def parts(volumes: list[LabelledVolume]) -> dict[int, int]:
    """Their cells in three parts."""
    return {cell: i % 3 for v in volumes for i, cell in enumerate(sorted(v.cells))}


@pytest.fixture(scope="module")
def fitted(volumes: list[LabelledVolume], parts: dict[int, int]) -> FittedHead:
    """A head of few trees."""
    return fit_head(volumes, parts, config=SMALL)


def volume_f1(volume: LabelledVolume, head: SegmentHead, cell: int) -> float:
    graph, seed = volume.graph, volume.seeds[cell][0]
    answer = head.score(graph, graph.ids[seed])
    chosen, target = np.zeros(len(graph.ids), bool), np.zeros(len(graph.ids), bool)
    chosen[graph.rows(answer.ids[answer.chosen])] = True
    target[volume.cells[cell]] = True
    target[seed] = False
    total = graph.voxels[chosen].sum() + graph.voxels[target].sum()
    return 2 * graph.voxels[chosen & target].sum() / total if total else 1.0


def test_numbers_that_are_left_out_are_never_asked_about(volumes: list[LabelledVolume], parts: dict[int, int]) -> None:
    config = replace(SMALL, left_out=("face_*", "gap_?", "pooled_face_*", "odds_mean"))
    head = fit_head(volumes, parts, config=config).head
    for forest, names in ((head.pairs, CONTACT_NAMES), (head.candidates, CANDIDATE_NAMES)):
        asked = {names[i] for i in forest.column[np.isfinite(forest.bound)]}
        assert asked
        assert not [name for name in asked if name.startswith(("face_", "pooled_face_")) or name == "odds_mean"]
        assert len(config.ignored(names)) >= 5


def test_a_head_learns_what_holds_away_from_home_by_leaving_each_tissue_out(
    volumes: list[LabelledVolume], parts: dict[int, int]
) -> None:
    third = replace(labelled(5), name="other/5")
    three, dealt = [*volumes, third], parts | {cell: i % 3 for i, cell in enumerate(sorted(third.cells))}
    asked: list[str] = []

    def keep(name: str, fit: Callable[[], Forest]) -> Forest:
        asked.append(name.split("-")[1] if name.startswith("without-") else "")
        return fit()

    head = fit_head(three, dealt, config=SMALL, keep=keep).head
    assert set(asked) == {"", "blocks0", "blocks1", "other"}
    assert head.away is not None
    assert head.settings_at(0.0) == head.away
    assert head.settings_at(1.0) == head.settings
    again = SegmentHead.from_arrays(head.arrays(), what="head")
    assert again.familiarity is not None
    answers = [h.score(third.graph, [third.graph.ids[0]]) for h in (head, again)]
    assert [answer.familiarity for answer in answers] == [1.0, 1.0]
    asked.clear()
    fit_head([*volumes, replace(third, kind="generated")], dealt, config=SMALL, keep=keep)
    assert set(asked) == {"", "blocks0", "blocks1"}  # generated cubes choose nothing
    alike = fit_head(three, dealt, config=replace(SMALL, alike=(("blocks0", "blocks1"),))).head
    assert alike.away is None  # two tissues are too few


def test_generated_cubes_of_any_look_are_one_tissue(volumes: list[LabelledVolume]) -> None:
    one, two = (replace(volumes[1], name=f"look{n}/4", kind="generated") for n in (1, 2))
    assert away_module.tissues_of([replace(volumes[0], name="mine/3"), one, two], LearnConfig()) == {}


def test_a_cube_it_has_not_seen_is_answered_well(fitted: FittedHead) -> None:
    fresh = labelled(7)
    scores = [volume_f1(fresh, fitted.head, cell) for cell, rows in fresh.cells.items() if len(rows) > 1]
    assert np.mean(scores) > 0.8


def test_answers_list_each_candidate_once_and_never_the_seed(fitted: FittedHead, volumes: list[LabelledVolume]) -> None:
    graph = volumes[0].graph
    answer = fitted.head.score(graph, [int(graph.ids[2]), 65000])
    assert len(set(answer.ids.tolist())) == len(answer.ids)
    assert graph.ids[2] not in answer.ids
    assert ((answer.probability >= 0) & (answer.probability <= 1)).all()
    assert answer.probability[answer.chosen].min(initial=1) >= answer.probability[~answer.chosen].max(initial=0)


def test_what_somebody_ruled_out_is_no_part_of_the_answer(fitted: FittedHead, volumes: list[LabelledVolume]) -> None:
    volume = volumes[0]
    cell = max(volume.cells, key=lambda c: len(volume.cells[c]))
    seed = volume.graph.ids[volume.seeds[cell][0]]
    free = fitted.head.score(volume.graph, seed)
    refused = free.ids[free.chosen][:1]
    answer = fitted.head.score(volume.graph, seed, excluded_ids=refused)
    assert len(refused) == 1
    assert refused[0] not in answer.ids
    assert len(answer.ids)


def test_only_the_ratio_of_weights_counts(
    fitted: FittedHead, volumes: list[LabelledVolume], parts: dict[int, int]
) -> None:
    both = fit_head([replace(v, weight=3.0) for v in volumes], parts, config=SMALL).head
    one = fit_head([volumes[0], replace(volumes[1], weight=0.1)], parts, config=SMALL).head
    for name in ("pairs", "candidates"):
        before = getattr(fitted.head, name).leaf
        assert np.allclose(getattr(both, name).leaf, before, atol=1e-6)
        assert not np.allclose(getattr(one, name).leaf, before, atol=1e-3)


def test_it_is_the_mean_of_draws_with_generated_cubes_and_without(
    volumes: list[LabelledVolume], parts: dict[int, int]
) -> None:
    forests: dict[str, Forest] = {}

    def keep(name: str, fit: Callable[[], Forest]) -> Forest:
        return forests.setdefault(name, fit())

    own, generated = volumes[0], replace(volumes[1], kind="generated")
    fitted = fit_head([own, generated], parts, config=replace(SMALL, draws=2), keep=keep)
    alone = fit_head([own], {cell: part for cell, part in parts.items() if cell in own.cells}, config=SMALL).head
    rows, numbers = own.graph.evidence, np.random.default_rng(0).normal(size=(50, 200)).astype(np.float32)
    said = {name: forest.log_odds(rows if "pairs" in name else numbers) for name, forest in forests.items()}
    courses = [np.mean([said[f"{number}-pairs-{part}"] for part in range(3)], axis=0) for number in range(4)]
    assert np.allclose(courses[0], alone.pairs.log_odds(rows), atol=1e-5)
    assert all(not np.allclose(one, other, atol=1e-2) for one, other in itertools.combinations(courses, 2))
    assert np.allclose(fitted.head.pairs.log_odds(rows), np.mean(courses, axis=0), atol=1e-5)
    candidates = [said[f"{number}-candidates-0"] for number in range(4)]
    assert np.allclose(fitted.head.candidates.log_odds(numbers), np.mean(candidates, axis=0), atol=1e-5)
    assert [course.volumes for course in fitted.courses] == 2 * [{own.name}, {own.name, generated.name}]
    known = fitted.head.familiarity
    assert known is not None
    assert known.of(own.graph.evidence) == 1.0 > known.of(generated.graph.evidence)  # nothing was chosen on it


def many_cells(kind: VolumeKind, cells: range) -> LabelledVolume:
    rows = {cell: np.zeros(0, np.int64) for cell in cells}
    return replace(block_volume(3), name=f"{kind}/3", kind=kind, cells=rows, seeds={})


def test_another_draw_deals_the_same_parts_to_other_cells() -> None:
    volume = many_cells("real", range(43))
    parts = share_out([volume], parts=5)
    drawn = _deal(parts, [volume], seed=1)
    assert drawn.keys() == parts.keys()
    assert sum(drawn[cell] != parts[cell] for cell in parts) > 15
    assert drawn == _deal(parts, [volume], seed=1) != _deal(parts, [volume], seed=2)
    assert sorted(drawn.values()) == sorted(parts.values())


@pytest.mark.parametrize("kind", ["generated", "apart"])
def test_generated_cubes_leave_the_parts_of_real_cells_as_they_are(kind: VolumeKind) -> None:
    real, made = many_cells("real", range(43)), many_cells(kind, range(43, 60))
    alone, beside = share_out([real], parts=5), share_out([made, real], parts=5)
    assert {cell: beside[cell] for cell in real.cells} == alone
    again = _deal(beside, [made, real], seed=1)
    assert {cell: again[cell] for cell in real.cells} == _deal(alone, [real], seed=1)
    assert sorted(again) == sorted([*real.cells, *made.cells])


def test_a_seed_outside_the_cube_has_no_answer(fitted: FittedHead, volumes: list[LabelledVolume]) -> None:
    answer = fitted.head.score(volumes[0].graph, [65000])
    assert len(answer.ids) == 0
    assert not answer.chosen.any()


def test_a_head_comes_back_from_its_tensors(fitted: FittedHead, volumes: list[LabelledVolume]) -> None:
    again = SegmentHead.from_arrays(
        {key: value.astype(np.float32) for key, value in fitted.head.arrays().items()}, what="model x"
    )
    graph = volumes[1].graph
    first, second = fitted.head.score(graph, graph.ids[:1]), again.score(graph, graph.ids[:1])
    assert first.ids.tolist() == second.ids.tolist()
    np.testing.assert_allclose(first.probability, second.probability, rtol=1e-6)


def test_tensors_that_are_no_head_are_damaged() -> None:
    with pytest.raises(DamagedError, match="segment head is not whole"):
        SegmentHead.from_arrays({"settings": np.array([1.0, 1.0, 0.0, 0.3])}, what="model x")


def test_a_calibration_that_falls_is_damaged(fitted: FittedHead) -> None:
    tensors = fitted.head.arrays() | {"settings": np.array([-1.0, 1.0, 0.0, 0.3])}
    with pytest.raises(DamagedError, match="a calibration must rise"):
        SegmentHead.from_arrays(tensors, what="model x")


def test_learning_again_gives_the_same_head_and_kept_forests_are_not_fitted_again(
    volumes: list[LabelledVolume], parts: dict[int, int], fitted: FittedHead
) -> None:
    kept: dict[str, Forest] = {}
    fits: list[str] = []

    def keep(name: str, fit: Callable[[], Forest]) -> Forest:
        if name not in kept:
            fits.append(name)
            kept[name] = fit()
        return kept[name]

    for _ in range(2):
        count = Counted()
        again = fit_head(volumes, parts, config=SMALL, keep=keep, progress=count)
        assert again.tuned == fitted.tuned
        for name, tensor in fitted.head.arrays().items():
            assert np.array_equal(tensor, again.head.arrays()[name]), name
        assert len(fits) == len(set(fits)) == count.done == 3 + 3 + 1


def test_one_part_is_too_few_to_validate_with(volumes: list[LabelledVolume]) -> None:
    with pytest.raises(ValueError, match="at least two parts"):
        fit_head(volumes, dict.fromkeys(volumes[0].cells, 0), config=SMALL)


def test_answers_of_cells_that_are_in_no_part_change_nothing(
    volumes: list[LabelledVolume], parts: dict[int, int]
) -> None:
    """What a held-out cell's answer is must not reach the head, not even as an example of what is foreign."""
    volume, cell = volumes[0], max(volumes[0].cells, key=lambda c: len(volumes[0].cells[c]))
    kept = {c: part for c, part in parts.items() if c != cell}
    rows = volume.cells[cell]
    torn = replace(volume, cells={**volume.cells, cell: rows[::2], 999: rows[1::2]})
    before, after = (fit_head([v, volumes[1]], kept, config=SMALL) for v in (volume, torn))
    assert before.tuned == after.tuned
    for name, tensor in before.head.arrays().items():
        assert np.array_equal(tensor, after.head.arrays()[name]), name
    assert cell not in volume.without({cell}).cells
    assert np.isin(volume.cells[cell], volume.without({cell}).withheld).all()


def test_nothing_is_learned_from_the_surroundings_of_held_out_cells(volumes: list[LabelledVolume]) -> None:
    volume = volumes[0]
    graph, held_out = volume.graph, min(volume.cells)
    known = np.concatenate([rows for cell, rows in volume.cells.items() if cell != held_out])[5:]
    rows = surroundings_of(volume.cells[held_out], graph, known=known)
    beside = graph.pairs[np.isin(graph.pairs, volume.cells[held_out]).any(axis=1)].ravel()
    assert set(rows.tolist()) == set(beside.tolist()) - set(known.tolist())
    assert set(rows.tolist()) > set(volume.cells[held_out].tolist())

    pairs, truth = known_pairs(replace(volume, withheld=rows))
    everything, _ = known_pairs(volume)
    assert not np.isin(graph.pairs[pairs], rows).any()
    assert 0 < len(pairs) < len(everything)
    assert truth.any()
    assert not truth.all()


def test_a_volume_without_a_cell_withholds_it_and_what_nobody_owns_beside_it(volumes: list[LabelledVolume]) -> None:
    volume, graph = volumes[0], volumes[0].graph
    gone, unknown = sorted(volume.cells, key=lambda c: -len(volume.cells[c]))[:2]
    rest = replace(volume, cells={c: rows for c, rows in volume.cells.items() if c != unknown}, withheld=np.array([0]))
    without = rest.without({gone})
    assert without.cells.keys() == rest.cells.keys() - {gone}
    assert without.seeds.keys() == volume.seeds.keys() - {gone}
    beside = graph.pairs[np.isin(graph.pairs, volume.cells[gone]).any(axis=1)].ravel()
    known = np.concatenate(list(without.cells.values()))
    assert set(without.withheld.tolist()) == (set(beside.tolist()) - set(known.tolist())) | {0}
    assert np.isin(volume.cells[unknown], without.withheld).any()


def test_withheld_segments_are_no_candidates_to_learn_from(volumes: list[LabelledVolume]) -> None:
    volume = volumes[0]
    around = survey(volume.graph, np.zeros(len(volume.graph.pairs)))
    cell = max(volume.cells, key=lambda c: len(volume.cells[c]))
    others = np.setdiff1d(np.arange(len(volume.graph.ids)), volume.cells[cell])

    def states(withheld: np.ndarray) -> np.ndarray:
        without = replace(volume, withheld=withheld)
        found = sample_states(without, around, cell, config=SMALL.sampling, random=np.random.default_rng(0))
        assert found is not None
        return found.truth

    assert not states(others[:0]).all()
    assert states(others).all()


def test_examples_are_drawn_for_forests_that_are_not_kept_alone(
    volumes: list[LabelledVolume], parts: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, Forest] = {}

    def keep(name: str, fit: Callable[[], Forest]) -> Forest:
        if name not in kept:
            kept[name] = fit()
        return kept[name]

    def learn() -> tuple[Forest, Forest]:
        pairs = learn_pairs(volumes, parts, config=SMALL, keep=keep)
        return pairs.forest, learn_candidates(volumes, pairs, config=SMALL, keep=keep).forest

    first = learn()
    drawn: list[str] = []

    def noted(name: str) -> Callable[..., Any]:
        draw = getattr(learning, name)

        def draw_noted(*args: Any, **words: Any) -> Any:
            drawn.append(name)
            return draw(*args, **words)

        return draw_noted

    for name in ("draw_pairs", "draw_candidates"):
        monkeypatch.setattr(learning, name, noted(name))
    again = learn()
    assert drawn == []
    assert [forest.leaf.tobytes() for forest in again] == [forest.leaf.tobytes() for forest in first]
    del kept["candidates-0"]
    assert learn()[1].leaf.tobytes() == first[1].leaf.tobytes()
    assert drawn == ["draw_candidates"]


def test_a_cells_answer_changes_no_judgement_of_its_own_pairs(
    volumes: list[LabelledVolume], parts: dict[int, int]
) -> None:
    volume = volumes[0]
    cell = max(volume.cells, key=lambda c: len(volume.cells[c]))
    rows = volume.cells[cell]
    torn = replace(volume, cells={**volume.cells, cell: rows[::2], 999: rows[1::2]})
    before = learn_pairs(volumes, parts, config=SMALL)
    after = learn_pairs([torn, volumes[1]], {**parts, 999: parts[cell]}, config=SMALL)
    inner = np.isin(volume.graph.pairs, rows).all(axis=1)
    assert inner.any()
    first, second = before.log_odds(volume), after.log_odds(torn)
    assert (first[inner] == second[inner]).all()
    assert not (first == second).all()


def test_no_forest_answers_for_cells_that_it_learned_from(
    volumes: list[LabelledVolume], parts: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, bytes]] = []

    def attempt(volume: LabelledVolume, around: Any, cell: int, *, forest: Forest, **named: int) -> list[Trial]:
        asked.append((cell, forest.leaf.tobytes()))
        return try_cell(volume, around, cell, forest=forest, **named)

    try_cell: Any = away_module._try_cell
    monkeypatch.setattr(away_module, "_try_cell", attempt)
    fitted = fit_head(volumes, parts, config=SMALL)
    without = fitted.courses[0].candidates.without
    assert {cell for cell, _ in asked} == set(parts)
    assert all(forest == without[parts[cell]].leaf.tobytes() for cell, forest in asked)


def test_nothing_of_a_part_is_an_example_for_the_forest_without_it(
    volumes: list[LabelledVolume], parts: dict[int, int]
) -> None:
    for part in range(3):
        mine = {cell for cell, of in parts.items() if of == part}
        expected = [known_pairs(volume.without(mine & volume.cells.keys())) for volume in volumes]
        examples = draw_pairs(volumes, parts, most=10**9, expected=None, random=np.random.default_rng(0))
        usable = examples.usable[:, part]
        rows = np.concatenate([v.graph.evidence[chosen] for v, (chosen, _) in zip(volumes, expected, strict=True)])
        assert np.array_equal(examples.rows[usable], rows)
        assert np.array_equal(examples.truth[usable], np.concatenate([truth for _, truth in expected]))
    judgement = learn_pairs(volumes, parts, config=SMALL)
    drawn = draw_candidates(volumes, parts, judgement.around, sampling=SMALL.sampling, most=99, seed=0)
    assert drawn is not None
    assert not drawn.usable[np.arange(len(drawn.part)), drawn.part].any()
    assert 0 < drawn.usable.mean() < 1


def test_of_many_contacts_a_bounded_draw_stands_for_all(volumes: list[LabelledVolume], parts: dict[int, int]) -> None:
    everything = draw_pairs(volumes, parts, most=10**9, expected=None, random=np.random.default_rng(0))
    sums = []
    for seed in range(40):
        some = draw_pairs(volumes, parts, most=60, expected=None, random=np.random.default_rng(seed))
        assert len(some.truth) < 100
        sums.append([some.weight.sum(), some.weight[some.truth].sum()])
    expected = [everything.weight.sum(), everything.weight[everything.truth].sum()]
    assert np.allclose(np.mean(sums, axis=0), expected, rtol=0.1)


def test_every_cell_in_turn_gives_one_of_its_cubes(volumes: list[LabelledVolume]) -> None:
    twice = [volumes[0], replace(volumes[0], name="blocks/9"), volumes[1]]
    cells = {cell for volume in volumes for cell in volume.cells}
    drawn = list(draw_cells(twice, most=len(cells), random=np.random.default_rng(0)))
    assert sorted(cell for _, some in drawn for cell in some) == sorted(cells)
    whole = list(draw_cells(twice, most=10**6, random=np.random.default_rng(0)))
    assert [(volume.name, set(some)) for volume, some in whole] == [(v.name, set(v.cells)) for v in twice]


def test_nobodys_contacts_beside_a_cell_are_judged_by_forests_that_have_not_seen_them(
    volumes: list[LabelledVolume], parts: dict[int, int]
) -> None:
    volume = volumes[0]
    nobodys = sorted(volume.cells, key=lambda c: -len(volume.cells[c]))[0]
    known = volume.without({nobodys})
    rest = replace(known, withheld=volume.withheld)
    mine = {cell: parts[cell] for cell in rest.cells}
    forests: dict[str, Forest] = {}
    judged = learn_pairs([rest], mine, config=SMALL, keep=lambda name, fit: forests.setdefault(name, fit()))
    inner = np.isin(volume.graph.pairs, volume.cells[nobodys]).all(axis=1)
    said = {part: forests[f"pairs-{part}"].log_odds(volume.graph.evidence) for part in range(3)}
    withheld = {
        part: rest.without({c for c, of in mine.items() if of == part}).is_withheld[volume.graph.pairs].any(axis=1)
        for part in range(3)
    }
    for pair in np.flatnonzero(inner):
        unseen = [said[part][pair] for part in range(3) if withheld[part][pair]] or [s[pair] for s in said.values()]
        assert judged.log_odds(rest)[pair] == pytest.approx(np.mean(unseen))
    assert any(0 < sum(withheld[part][pair] for part in range(3)) < 3 for pair in np.flatnonzero(inner))


def test_states_hold_both_kinds_of_candidates_and_no_member_of_the_object(volumes: list[LabelledVolume]) -> None:
    volume = volumes[0]
    around = survey(volume.graph, np.zeros(len(volume.graph.pairs)))
    cell = max(volume.cells, key=lambda c: len(volume.cells[c]))
    states = sample_states(volume, around, cell, config=SMALL.sampling, random=np.random.default_rng(0))
    assert states is not None
    assert states.truth.any()
    assert not states.truth.all()
    assert set(states.voxels[states.truth]) <= set(volume.graph.voxels[volume.cells[cell]])


def test_a_cell_of_one_segment_touching_nothing_gives_no_states() -> None:
    graph = build_graph(np.zeros((16,) * 3, np.uint8), np.full((16,) * 3, 5, np.uint16))
    volume = LabelledVolume("one/1", graph, {1: np.array([0])}, {})
    around = survey(graph, np.zeros(0))
    assert sample_states(volume, around, 1, config=SMALL.sampling, random=np.random.default_rng(0)) is None


def test_drawn_seeds_are_parts_of_the_cell(volumes: list[LabelledVolume]) -> None:
    volume, random = volumes[0], np.random.default_rng(0)
    around = survey(volume.graph, np.zeros(len(volume.graph.pairs)))
    for cell, rows in volume.cells.items():
        drawn = [draw_seed(volume, around, cell, random) for _ in range(20)]
        assert all(0 < len(d) <= len(rows) and np.isin(d, rows).all() for d in drawn)


def trial(odds: list[float], is_target: list[bool], *, dataset: str = "a") -> Trial:
    count = len(odds)
    growth = Growth(np.arange(count), np.array(odds), np.zeros(0, np.int64), np.zeros(0))
    return Trial(dataset, growth, np.full(count, 10_000.0), np.array(is_target))


def test_the_calibration_makes_log_odds_mean_what_they_say() -> None:
    """Scores that are twice too sure above even odds and half as sure as they might be below."""
    random = np.random.default_rng(0)
    trials = []
    for _ in range(2000):
        true_odds = np.sort(random.normal(0, 1.5, 8))[::-1]
        truth = random.random(8) < 1 / (1 + np.exp(-true_odds))
        trials.append(trial(np.where(true_odds > 0, 2 * true_odds, true_odds / 2).tolist(), truth.tolist()))
    calibration = tune(trials).settings.calibration
    said = calibration.probability(np.array([-1.0, 4.0]))
    np.testing.assert_allclose(said, 1 / (1 + np.exp([2.0, -2.0])), atol=0.06)
    assert calibration.low > 1.5
    assert calibration.high < 0.8


def test_data_sets_count_alike_in_the_calibration() -> None:
    rare, common = [trial([0.0], [True])] * 30, [trial([0.0], [False], dataset="b")] * 300
    assert tune([*rare, *common]).settings.calibration.probability(np.zeros(1))[0] == pytest.approx(0.5, abs=0.01)


def test_the_bounds_let_in_what_is_right_and_keep_out_what_is_wrong() -> None:
    tuned = tune([trial([-0.3, -2.9], [True, False])] * 20)
    right, wrong = tuned.settings.calibration.probability(np.array([-0.3, -2.9]))
    assert wrong < tuned.thresholds.add <= right
    assert tuned.thresholds.maybe <= tuned.thresholds.add
    assert tuned.score == pytest.approx(1.0)


@pytest.mark.parametrize("missed", [0, 2, 6, 60])
def test_maybe_begins_where_little_that_is_rejected_belongs(missed: int) -> None:
    """Each of 200 trials refuses one candidate, at chances from .02 to .45; the likeliest `missed` of them belong."""
    trials = []
    for i, p in enumerate(np.linspace(0.45, 0.02, 200)):
        refused = Growth(np.array([0]), np.array([5.0]), np.array([1]), np.array([np.log(p / (1 - p))]))
        trials.append(Trial("a", refused, np.full(2, 100.0), np.array([True, i < missed])))
    # Wrong first segments at .43, so that adding begins above what maybe may begin at.
    tuned = tune([*trials, *[trial([-0.3], [False])] * 40])

    def wrong(bound: float) -> float:
        odds = np.array([t.growth.refused_log_odds[0] for t in trials])
        rejected = tuned.settings.calibration.probability(odds) < bound
        return float(np.sum(rejected & (np.arange(200) < missed)) / (200 + 40))

    largest = next((b for b in MAYBE_BOUNDS if wrong(b) <= 0.01), MAYBE_BOUNDS[-1])
    assert tuned.thresholds.maybe == min(largest, tuned.thresholds.add)
    assert tuned.rejected_wrong == pytest.approx(wrong(tuned.thresholds.maybe))


def test_adding_nothing_weighs_what_pays_on_the_trials() -> None:
    """One in four of all doubtful segments belongs; where it does, only an answer with it scores."""
    few = [trial([-1.1], [i % 4 == 0]) for i in range(80)]
    assert tune(few).settings.nothing == 0.3
    assert tune([trial([2.0], [True])] * 9 + [trial([-2.0], [False])]).settings.nothing == 1.0


def test_complete_cells_and_unfinished_ones_both_count() -> None:
    trials = [trial([-2.0], [False])] * 5 + [trial([2.0], [True])] * 5
    assert tune(trials).score == pytest.approx(1.0)
    wrong = [trial([2.0], [False])] * 5 + [trial([2.0], [True])] * 5
    assert tune(wrong).score == pytest.approx(0.9)


def test_a_few_cells_give_as_many_examples_and_trials_as_many(
    volumes: list[LabelledVolume], parts: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = (replace(SMALL, sampling=replace(SMALL.sampling, least=least)) for least in (0, 10 * len(parts)))
    monkeypatch.setattr(away_module, "LEAST_DRAWN", 0)
    judgement = learn_pairs(volumes, parts, config=SMALL)
    drawn = [
        draw_candidates(volumes, parts, judgement.around, sampling=config.sampling, most=10**9, seed=0)
        for config in (few, many)
    ]
    assert drawn[0] is not None
    assert drawn[1] is not None
    assert len(drawn[1].truth) > 2 * len(drawn[0].truth)
    head = fit_head(volumes, parts, config=SMALL)

    def trials() -> int:
        return len(away_module.try_cells(volumes, judgement.around, lambda _: head.head.candidates, config=SMALL))

    before = trials()
    monkeypatch.setattr(away_module, "LEAST_DRAWN", 20 * len(parts))
    assert trials() > 2 * before
