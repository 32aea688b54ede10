import numpy as np
import pytest
from numpy.typing import NDArray

from ewval.core.forest.calibration.beta import BetaCalibration
from ewval.core.forest.familiarity import MOST_CUBES, Familiarity, some_of
from ewval.core.forest.model import HeadSettings


def contacts(seed: int, *, shift: float = 0.0, count: int = 400) -> NDArray[np.float32]:
    """Contacts of a cube: ten numbers each, all moved by `shift`."""
    return (np.random.default_rng(seed).standard_normal((count, 10)) * np.arange(1, 11) + shift).astype(np.float32)


def known(*cubes: NDArray[np.float32]) -> Familiarity:
    found = Familiarity.learn(cubes)
    assert found is not None
    return found


def test_a_cube_that_was_learned_from_is_wholly_familiar() -> None:
    home, other = contacts(0), contacts(1, shift=20)
    assert known(home, other).of(home) == known(home, other).of(other) == 1.0


def test_the_further_away_the_less_familiar() -> None:
    model = known(contacts(0), contacts(1))
    said = [model.of(contacts(2, shift=shift)) for shift in (0, 1, 2, 5, 50)]
    assert 0.9 < said[0] < 1
    assert said == sorted(said, reverse=True)
    assert said[-1] < 0.05


def test_familiarity_depends_on_neither_unit_nor_order() -> None:
    cube, asked, unit = contacts(0), contacts(1, shift=2), np.float32(8)
    assert known(cube * unit).of(asked * unit) == pytest.approx(known(cube).of(asked))
    assert known(cube).of(asked[::-1]) == known(cube).of(asked)


def test_a_cube_without_contacts_is_not_strange() -> None:
    assert known(contacts(0)).of(np.zeros((0, 0), np.float32)) == 1.0
    assert Familiarity.learn([np.zeros((0, 0), np.float32)]) is None


def test_of_many_cubes_some_are_remembered() -> None:
    model = Familiarity.learn(contacts(i, count=50) for i in some_of(range(3 * MOST_CUBES - 1)))
    assert model is not None
    assert len(model.sketches) == MOST_CUBES


def test_arrays_bring_it_back_and_damaged_ones_do_not() -> None:
    model, asked = known(contacts(0)), contacts(1, shift=1)
    assert Familiarity.from_arrays(model.arrays()).of(asked) == model.of(asked)
    with pytest.raises(ValueError, match="do not fit"):
        Familiarity.from_arrays({**model.arrays(), "spread": model.spread[:-1]})


def test_settings_pass_from_those_at_home_to_those_away() -> None:
    home = HeadSettings(BetaCalibration(1.0, 2.0, 0.0), 0.5)
    away = HeadSettings(BetaCalibration(0.5, 1.0, 1.0), 0.1)
    assert home.toward(away, 1.0) == home
    assert home.toward(away, 0.0) == away
    half = home.toward(away, 0.5)
    assert (half.calibration, half.nothing) == (BetaCalibration(0.75, 1.5, 0.5), pytest.approx(0.3))
