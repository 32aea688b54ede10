"""The step: what it changes, in how many parts, and how it fails."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from ewval.core.errors import DivergedError, MemoryShortError
from ewval.nn.data.batches import Batch
from ewval.nn.loss import LossConfig
from ewval.nn.networks.lwunet import LWUNet, LWUNetConfig
from ewval.nn.training.augment import PLAIN, AugmentConfig
from ewval.nn.training.optimization import OptimizerConfig
from ewval.nn.training.step import ComputeConfig, StepResult, TrainConfig, Trainer, draw_noise, is_out_of_memory

MakeBatch = Callable[..., Batch]
QUICK = OptimizerConfig(learning_rate=3e-3, schedule="constant")


def fresh_network() -> LWUNet:
    torch.manual_seed(0)
    return LWUNet(LWUNetConfig(loops=2))


def train_on(trainer: Trainer, batch: Batch, *, steps: int) -> list[StepResult]:
    return [trainer.step(batch, step=step, epoch=0, total_steps=steps) for step in range(steps)]


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_steps_make_the_loss_smaller(make_batch: MakeBatch) -> None:
    trainer = Trainer(fresh_network(), TrainConfig(loss=LossConfig("bce"), optimizer=QUICK, augment=PLAIN, loops=2))
    results = train_on(trainer, make_batch(), steps=12)
    assert [result.step for result in results] == list(range(12))
    assert results[-1].loss < 0.7 * results[0].loss
    assert all(result.samples == 2 and result.seconds > 0 for result in results)


@pytest.mark.parametrize("loss", ["bayes", "sampled", "bce"])
@pytest.mark.parametrize("every_loop", [False, True])
def test_a_batch_in_parts_gives_the_gradient_of_the_whole(make_batch: MakeBatch, loss: Any, every_loop: bool) -> None:
    found = []
    for parts in (4, 1, 3):
        config = TrainConfig(
            loss=LossConfig(loss, every_loop=every_loop), optimizer=QUICK, loops=2, compute=ComputeConfig(parts=parts)
        )
        trainer = Trainer(fresh_network(), config)
        trainer.step(make_batch(4), step=0, epoch=0, total_steps=1)
        found.append(torch.cat([p.grad.flatten() for p in trainer.network.parameters() if p.grad is not None]))
    assert torch.allclose(found[0], found[1], atol=1e-6)
    assert torch.allclose(found[0], found[2], atol=1e-6)


def test_the_first_loops_count_only_where_asked(make_batch: MakeBatch) -> None:
    batch = make_batch()
    losses = []
    for every_loop in (False, True):
        config = TrainConfig(loss=LossConfig("bce", every_loop=every_loop), augment=PLAIN, loops=2)
        losses.append(Trainer(fresh_network(), config).step(batch, step=0, epoch=0, total_steps=1).loss)
    network = fresh_network()
    each = []
    for loops in (1, 2):
        config = TrainConfig(loss=LossConfig("bce"), augment=PLAIN, loops=loops)
        each.append(Trainer(network, config).validate([batch]).loss)
    assert losses[0] == pytest.approx(each[1], abs=1e-6)
    assert losses[1] == pytest.approx(sum(each) / 2, abs=1e-6)


def test_a_loss_that_is_no_number_leaves_the_weights_alone(make_batch: MakeBatch) -> None:
    trainer = Trainer(LWUNet(LWUNetConfig(loops=1)), TrainConfig(loops=1, augment=PLAIN))
    before = weights(trainer.network)
    batch = make_batch()
    broken = replace(batch, image=batch.image.clone().fill_(math.inf))
    with pytest.raises(DivergedError, match="training diverged at step 5: loss nan"):
        trainer.step(broken, step=5, epoch=0, total_steps=9)
    assert torch.equal(weights(trainer.network), before)


class Hungry(LWUNet):
    """A network that runs out of memory above so many samples at once."""

    limit = 0

    def prepare(self, image: torch.Tensor, seed: torch.Tensor, context: torch.Tensor, boundary: Any) -> Any:
        if len(image) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().prepare(image, seed, context, boundary)


def hungry(limit: int) -> Hungry:
    torch.manual_seed(0)
    network = Hungry(LWUNetConfig(loops=1))
    network.limit = limit
    return network


def test_parts_shrink_until_they_fit_the_memory(make_batch: MakeBatch) -> None:
    after = []
    for limit in (8, 3):
        trainer = Trainer(hungry(limit), TrainConfig(loops=1, compute=ComputeConfig(parts=8), optimizer=QUICK))
        result = trainer.step(make_batch(8), step=0, epoch=0, total_steps=1)
        assert result.samples == 8
        after.append(weights(trainer.network))
    assert torch.allclose(*after, atol=1e-5)


def test_a_single_sample_that_does_not_fit_is_one_clear_failure(make_batch: MakeBatch) -> None:
    trainer = Trainer(hungry(0), TrainConfig(loops=1))
    with pytest.raises(MemoryShortError, match="device cpu ran out of memory: 1 samples at once"):
        trainer.step(make_batch(), step=0, epoch=0, total_steps=1)


def test_what_the_cpu_allocator_says_counts_as_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


class Broken(LWUNet):
    """A network with a bug."""

    def prepare(self, image: torch.Tensor, seed: torch.Tensor, context: torch.Tensor, boundary: Any) -> Any:
        raise RuntimeError("a bug of ours")


def test_other_errors_are_not_taken_for_a_lack_of_memory(make_batch: MakeBatch) -> None:
    with pytest.raises(RuntimeError, match="a bug of ours"):
        Trainer(Broken(), TrainConfig()).step(make_batch(), step=0, epoch=0, total_steps=1)


def test_validation_is_that_of_the_running_mean_and_changes_nothing(make_batch: MakeBatch) -> None:
    config = TrainConfig(loss=LossConfig("bce"), optimizer=replace(QUICK, ema=0.5), augment=PLAIN, loops=1)
    trainer = Trainer(fresh_network(), config)
    train_on(trainer, make_batch(), steps=3)
    before = weights(trainer.network)
    found = trainer.validate([make_batch(3, seed=2)])
    assert torch.equal(weights(trainer.network), before)
    assert trainer.ema is not None
    mean = fresh_network()
    mean.load_state_dict(trainer.ema.state)
    plain = TrainConfig(loss=LossConfig("bce"), augment=PLAIN, loops=1)
    assert found == Trainer(mean, plain).validate([make_batch(3, seed=2)])
    assert found.samples == 3


def test_validation_on_nothing_has_no_loss() -> None:
    found = Trainer(LWUNet(), TrainConfig()).validate([])
    assert math.isnan(found.loss)
    assert found.samples == 0


def test_noise_depends_on_the_task_and_not_on_its_batch(make_batch: MakeBatch) -> None:
    config = TrainConfig(loss=LossConfig("sampled", samples=3))
    together = draw_noise(make_batch(3), config, turn=4, loop=1)
    assert together is not None
    assert together.shape == (3, 3, 8, 8, 8)
    alone = replace(make_batch(1), tasks=torch.tensor([2]))
    assert torch.equal(draw_noise(alone, config, turn=4, loop=1)[:, 0], together[:, 1])  # type: ignore[index]
    assert not torch.equal(draw_noise(alone, config, turn=5, loop=1)[:, 0], together[:, 1])  # type: ignore[index]


def test_bfloat16_comes_near_float32(make_batch: MakeBatch) -> None:
    losses = []
    for precision in ("float32", "bfloat16"):
        config = TrainConfig(loss=LossConfig("bce"), augment=PLAIN, loops=1, compute=ComputeConfig(precision))  # type: ignore[arg-type]
        losses.append(Trainer(fresh_network(), config).validate([make_batch()]).loss)
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_counts_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="loops 0 is not >= 1"):
        TrainConfig(loops=0)
    with pytest.raises(ValueError, match="parts -1 is not >= 0"):
        ComputeConfig(parts=-1)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown precision 'float8': one of auto, float32, bfloat16"):
        ComputeConfig("float8")  # type: ignore[arg-type]


def test_samples_are_varied_anew_each_step(make_batch: MakeBatch) -> None:
    config = TrainConfig(augment=AugmentConfig(symmetries="all"), loops=1)
    trainer = Trainer(LWUNet(), replace(config, optimizer=replace(QUICK, learning_rate=1e-12)))
    losses = {trainer.step(make_batch(), step=step, epoch=0, total_steps=9).loss for step in range(4)}
    assert len(losses) > 1
