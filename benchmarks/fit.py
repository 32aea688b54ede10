"""Fitting a forest to rows, by the kernels and by numpy alone, and beside LightGBM where that is installed.

    python benchmarks/fit.py [--rows 5000000] [--few 20000]

Rows are drawn with 132 numbers each, of which a few say something, as contacts have them. Both fit 100 trees of at most
32 leaves to the same rows; prints seconds of the processor, AUC on rows of their own, and the ratio of both. On few
rows, as a user's cells give, the kernels stand beside numpy alone: the same forest, and how much faster it is there.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from ewval.core.forest.boosting import BoostingConfig, fit_forest
from ewval.core.kernels.library import without_kernels

COLUMNS, TREES, HELD_OUT = 132, 100, 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--few", type=int, default=20_000)
    chosen = parser.parse_args()
    beside_numpy(chosen.few)
    count = chosen.rows
    rows, truth = drawn(count, seed=0)
    others, answers = drawn(HELD_OUT, seed=1)
    config = BoostingConfig(trees=TREES, depth=5, rate=0.15)
    forest, ours = timed(lambda: fit_forest(rows, truth, weight=np.ones(count), config=config))
    print(f"{count} rows, ours: {ours:.1f} s, AUC {auc(forest.log_odds(others), answers):.4f}")
    try:
        import lightgbm
    except ImportError:
        print("LightGBM is not installed: pip install lightgbm")
        return
    model = lightgbm.LGBMClassifier(
        n_estimators=TREES, num_leaves=32, max_depth=5, learning_rate=0.15, max_bin=63, n_jobs=1, verbose=-1
    )
    _, theirs = timed(lambda: model.fit(rows, truth))
    said = model.predict(others, raw_score=True)
    print(f"{count} rows, LightGBM: {theirs:.1f} s, AUC {auc(said, answers):.4f}; ours takes {ours / theirs:.2f} times")


def beside_numpy(count: int) -> None:
    """Fit few rows with the kernels and without.

    Raises:
        SystemExit: The forests differ.
    """
    rows, truth = drawn(count, seed=2)
    config, weight = BoostingConfig(trees=TREES, depth=5, rate=0.15), np.ones(count)
    forest, compiled = timed(lambda: fit_forest(rows, truth, weight=weight, config=config))
    with without_kernels():
        same, plain = timed(lambda: fit_forest(rows, truth, weight=weight, config=config))
    if not all(np.array_equal(forest.arrays()[name], array) for name, array in same.arrays().items()):
        raise SystemExit("the kernels give another forest than numpy")
    print(
        f"{count} rows, kernels {compiled:.1f} s, numpy {plain:.1f} s: {plain / compiled:.1f} times faster, same forest"
    )


def drawn(count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return float32[count, columns] and what is true of each."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((count, COLUMNS), dtype=np.float32)
    odds = rows[:, 0] + rows[:, 1] * rows[:, 2] + np.maximum(rows[:, 3], rows[:, 4]) - (rows[:, 5] > 1) * 2
    return rows, random.random(count) < 1 / (1 + np.exp(-odds + 1))


def timed(work: Callable[[], object]) -> tuple:
    began = time.process_time()
    result = work()
    return result, time.process_time() - began


def auc(scores: np.ndarray, truth: np.ndarray) -> float:
    rank = np.argsort(np.argsort(scores, kind="stable"), kind="stable")
    true = int(truth.sum())
    return float((rank[truth].sum() - true * (true - 1) / 2) / (true * (len(truth) - true)))


if __name__ == "__main__":
    main()
