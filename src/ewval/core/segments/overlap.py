"""How much of what was guessed is true, with a stated rule for every 0/0.

Precision with nothing guessed is 1 where nothing was true, else 0. Recall with nothing true is 1. IoU and F1 with
nothing true and nothing guessed are 1; F1 is 0 where only one of the two is empty.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Overlap:
    """What was guessed against what is true: voxels, segments, or voxels in segments.

    Args:
        guesses: How much was guessed.
        gt: How much is true.
        intersection: How much is both; no more than either.
    """

    guesses: float
    gt: float
    intersection: float

    def __post_init__(self) -> None:
        if not 0 <= self.intersection <= min(self.guesses, self.gt):
            raise ValueError(f"impossible overlap: {self.intersection} of {self.guesses} guessed and {self.gt} true")

    @property
    def union(self) -> float:
        """How much is guessed or true."""
        return self.guesses + self.gt - self.intersection

    @property
    def precision(self) -> float:
        """Share of the guesses that is true."""
        if self.guesses == 0:
            return 1.0 if self.gt == 0 else 0.0
        return self.intersection / self.guesses

    @property
    def recall(self) -> float:
        """Share of the truth that was guessed."""
        return self.intersection / self.gt if self.gt else 1.0

    @property
    def iou(self) -> float:
        """Intersection over union."""
        return self.intersection / self.union if self.union else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.guesses + self.gt
        return 2 * self.intersection / total if total else 1.0

    @property
    def wrong(self) -> float:
        """How much is guessed and not true, or true and not guessed."""
        return self.union - self.intersection

    @property
    def undefined(self) -> tuple[str, ...]:
        """The ratios that are 0/0 here, so that a rule decided them."""
        zero = {"precision": self.guesses == 0, "recall": self.gt == 0, "iou": self.union == 0, "f1": self.union == 0}
        return tuple(name for name, is_zero in zero.items() if is_zero)
