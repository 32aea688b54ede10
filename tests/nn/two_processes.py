"""What each process of test_distributed runs: three steps on its half of each batch, rank 0 writes the weights."""

import sys
from pathlib import Path

import torch

from ewval.nn.data.batches import Batch
from ewval.nn.distributed import Team, join_team
from ewval.nn.loss import LossConfig, LossName
from ewval.nn.networks.lwunet import LWUNet, LWUNetConfig
from ewval.nn.training.augment import FULL, part
from ewval.nn.training.optimization import OptimizerConfig
from ewval.nn.training.step import ComputeConfig, TrainConfig, Trainer

STEPS = 3
LOSSES: tuple[LossName, ...] = ("sampled", "bce")
# Plain descent would hide a wrong scale of the gradient less than Adam does, but clipping sees it too.
OPTIMIZER = OptimizerConfig(learning_rate=1e-3, schedule="constant", clip=0.05)


def make_batch(step: int) -> Batch:
    """Return four samples, the same in every process."""
    generator = torch.Generator().manual_seed(step)
    arrays = torch.rand(4, 4, 16, 8, 8, generator=generator)
    masks = (arrays[:, 1:] > 0.5).float()
    return Batch(
        tasks=torch.arange(4) + 10 * step,
        image=255 * arrays[:, 0],
        seed=masks[:, 0] * masks[:, 1],
        confidence=10 - 9 * masks[:, 0] * masks[:, 1],
        context=torch.zeros(4, 2, 16, 8, 8),
        boundary=masks[:, 2],
        target=masks[:, 0],
    )


def train(loss: LossName, team: Team) -> dict[str, object]:
    """Train on this process's share; return the weights and the losses."""
    torch.manual_seed(0)
    network = LWUNet(LWUNetConfig(loops=2))
    config = TrainConfig(
        loss=LossConfig(loss, samples=2), optimizer=OPTIMIZER, augment=FULL, loops=2, compute=ComputeConfig(parts=1)
    )
    trainer = Trainer(network, config, team=team)
    share = slice(4 // team.size * team.rank, 4 // team.size * (team.rank + 1))
    results = [
        trainer.step(part(make_batch(step), share), step=step, epoch=0, total_steps=STEPS) for step in range(STEPS)
    ]
    checked = trainer.validate([part(make_batch(9), share)])
    return {
        "weights": network.state_dict(),
        "losses": [result.loss for result in results],
        "samples": [result.samples for result in results],
        "validation": [checked.loss, checked.seedless_iou, checked.samples],
    }


def train_all() -> dict[str, object]:
    """Train with each loss in one team: leaving a team and joining another at the same port is a race."""
    torch.set_num_threads(1)
    with join_team(torch.device("cpu")) as team:
        found = {"is_first": team.is_first} | {loss: train(loss, team) for loss in LOSSES}
        torch.distributed.barrier()  # whoever leaves first takes the other's connections along
        return found


if __name__ == "__main__":
    found = train_all()
    if found["is_first"]:
        torch.save(found, Path(sys.argv[1]))
