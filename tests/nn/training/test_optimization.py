"""Learning rates over time and the running mean."""

from itertools import pairwise

import pytest
import torch

from ewval.nn.training.optimization import OptimizerConfig, RunningMean, build_optimizer, learning_rate


def test_step_divides_by_ten_every_two_epochs() -> None:
    rates = [learning_rate(OptimizerConfig(), step=0, epoch=epoch, total_steps=9) for epoch in range(6)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])


def test_cosine_warms_up_then_falls_to_zero() -> None:
    config = OptimizerConfig(schedule="cosine", learning_rate=1.0, warmup_steps=10)
    rates = [learning_rate(config, step=step, epoch=0, total_steps=100) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[10] == pytest.approx(1.0)
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert rates[100] == pytest.approx(0.0)


def test_a_short_run_warms_up_for_a_fifth_of_it() -> None:
    config = OptimizerConfig(schedule="cosine", learning_rate=1.0, warmup_steps=1000)
    assert learning_rate(config, step=2, epoch=0, total_steps=10) == pytest.approx(1.0)


def test_constant_stays() -> None:
    assert learning_rate(OptimizerConfig(schedule="constant"), step=999, epoch=9, total_steps=1000) == 1e-3


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_optimizers_by_name(name: str, kind: type[torch.optim.Optimizer]) -> None:
    optimizer = build_optimizer([torch.nn.Parameter(torch.ones(1))], OptimizerConfig(name=name))  # type: ignore[arg-type]
    assert type(optimizer) is kind
    assert optimizer.param_groups[0]["weight_decay"] == 5e-4


def test_the_running_mean_follows_slowly_and_its_first_steps_faster() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(0.0)
        mean = RunningMean(network, decay=0.9)
        network.weight.fill_(1.0)
        mean.update(network)
        assert mean.state["weight"].item() == pytest.approx(1 - 2 / 11)
        for _ in range(200):
            mean.update(network)
        network.weight.fill_(2.0)
        mean.update(network)
    assert mean.state["weight"].item() == pytest.approx(1.1, abs=1e-3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "sgd"}, "unknown optimizer 'sgd'"),
        ({"schedule": "linear"}, "schedule 'linear'"),
        ({"learning_rate": 0}, "learning_rate must be > 0"),
        ({"ema": 1.0}, r"ema in \[0, 1\)"),
        ({"step_epochs": 0}, "step_epochs must be >= 1"),
    ],
)
def test_values_without_sense_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OptimizerConfig(**values)  # type: ignore[arg-type]
