"""Rules of joining: what they add up, and their form on a card."""

import numpy as np
import pytest

from ewval.nn.joining.rule import JoinRule, join_rules

NETWORK = JoinRule(network=1.0, contact=0.0, offset=0.0)


def test_a_rule_adds_what_each_says() -> None:
    rule = JoinRule(network=2.0, contact=-1.0, offset=0.5)
    found = rule.probability(np.array([0.0, 1.0]), np.array([0.5, 0.0]))
    assert found.tolist() == pytest.approx([0.5, 1 / (1 + np.exp(-2.5))])


def test_a_card_holds_both_rules_or_is_refused() -> None:
    both = {"full": NETWORK.to_card(), "packed": JoinRule(1, 2, 3).to_card()}
    assert join_rules(both)["packed"] == JoinRule(1, 2, 3)
    with pytest.raises(ValueError, match="not the rules of joining segments"):
        join_rules({"full": NETWORK.to_card()})
    with pytest.raises(ValueError, match="not the rules of joining segments"):
        join_rules(both | {"full": {"network": 1}})
