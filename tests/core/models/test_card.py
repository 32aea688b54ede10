"""Model cards: there and back, what decides, and values that make no sense."""

import json
from typing import Any

import pytest

from ewval.core.errors import DamagedError
from ewval.core.models.card import DECISIVE, ModelCard, decisive, parse_card

CARD = ModelCard("mine", "lwunet", config={"loops": 1}, cells=[3, 5], training={"steps": 7})


def test_a_card_comes_back_from_its_json() -> None:
    assert parse_card(CARD.to_json(), what="card") == CARD


def test_keys_of_later_versions_are_ignored() -> None:
    later = json.dumps({**json.loads(CARD.to_json()), "mood": "good"})
    assert parse_card(later, what="card") == CARD


def test_what_decides_leaves_out_where_a_model_comes_from() -> None:
    assert set(decisive(CARD)) == set(DECISIVE)
    assert not {"training", "cells", "scores", "description"} & set(DECISIVE)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": 3}, "name, arch and loss must be text"),
        ({"loops": 1.5}, "loops, factor and context must be whole numbers"),
        ({"loops": 0}, "loops and factor >= 1"),
        ({"config": []}, "config and joining must be objects"),
        ({"add_threshold": 0.2, "maybe_threshold": 0.3}, "maybe not above add"),
        ({"temperature": 0}, "temperature must be > 0"),
        ({"temperature": 1e999}, "not a model card"),
    ],
)
def test_a_card_that_makes_no_sense_is_damaged(values: dict[str, Any], said: str) -> None:
    text = json.dumps({**json.loads(CARD.to_json()), **values})
    with pytest.raises(DamagedError, match=f"card is damaged: .*{said}"):
        parse_card(text, what="card")


@pytest.mark.parametrize("text", ["{", "[]", "3", '"text"'])
def test_what_is_no_card_is_damaged(text: str) -> None:
    with pytest.raises(DamagedError, match="card is damaged: not a model card"):
        parse_card(text, what="card")
