"""Speed of `ewval predict` and what full resolution is worth, on real cubes.

    python benchmarks/predict.py WIRE_FOLDER... [--tasks 200] [--model NAME|PATH] [--conform CHECKER]

WIRE_FOLDER holds api/ and volumes/ as Eyewire serves them; of its tasks those are answered that list a seed and whose
volume is there. Prints whether answers depend on order, batch size or the number of processes, and, with a CHECKER that
is called as `CHECKER predict FILE` and writes `line N: fault`, how many answers conform; the cold start against `import
torch` alone, many tasks in one process against a process each (extrapolated from ten), where the time goes, and how far
verdicts at 64^3 agree with those at full resolution.
"""

import argparse
import cProfile
import json
import os
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ewval.core.fetch.on_disk import LocalData
from ewval.core.fetch.run import FetchRequest, fetch
from ewval.core.folder import DataFolder
from ewval.core.segments.views import VolumeSource
from ewval.core.sim.server import WireServer
from ewval.core.volumes.store import PackedStore

EWVAL = [sys.executable, "-m", "ewval", "predict"]
NOWHERE = ["--api", "http://127.0.0.1:9"]
ALONE = 10
STAGES = {
    "reading samples": ("samples.py", "build"),
    "segments of the volume": ("views.py", "view"),
    "graph of the volume": ("views.py", "graph"),
    "network": ("looks.py", "voxel_maps"),
    "decision": ("prediction.py", "predict_questions"),
    "comparison with the players": ("answers.py", "judge"),
    "JSON": ("answers.py", "to_document"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wire", nargs="+", type=Path)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--model")
    parser.add_argument("--data", type=Path, help="a data folder to use again")
    parser.add_argument("--conform", type=Path, metavar="CHECKER")
    parser.add_argument("--answers-only", action="store_true", help="leave the times and resolutions out")
    options = parser.parse_args()
    model = ["--model", options.model] if options.model else []
    with tempfile.TemporaryDirectory() as scratch:
        folder = DataFolder(options.data or Path(scratch))
        tasks = spread(fetched_tasks(folder, options.wire), options.tasks)
        words = [*model, "--data", str(folder.root), *NOWHERE]
        answers(tasks, words, checker=options.conform, scratch=Path(scratch))
        if options.answers_only:
            return
        cold_start(tasks[0], words)
        one_process_against_many(tasks, words)
        where_time_goes(folder, tasks[:20], options.model)
        resolutions(folder, shown_at_64(folder, tasks), options.model)


def fetched_tasks(folder: DataFolder, wire: Sequence[Path]) -> list[int]:
    """Fetch what the folders hold; return the tasks that can be answered, those of one folder after another."""
    ids = [int(path.stem) for root in wire for path in sorted((root / "api/1.0/task").glob("*.json"))]
    with WireServer(wire) as server:
        fetch(
            FetchRequest(
                folder,
                tasks=tuple(ids),
                api=server.api_url,
                token="secret",
                api_rate=2000,
                bucket_rate=5000,
                pack=True,
                yes=True,
            )
        )
    local = LocalData(folder)
    known = set(ids) - set(local.to_fetch(ids))
    table = local.table(known)
    return [task for task in ids if task in known and table.seed(table.row(task)).size]


def spread(tasks: Sequence[int], count: int) -> list[int]:
    """Return `count` of `tasks`, evenly spread, so that every folder has its share."""
    if len(tasks) < count:
        print(f"only {len(tasks)} tasks can be answered, not {count}")
    return [tasks[place] for place in np.linspace(0, len(tasks) - 1, min(count, len(tasks))).astype(int)]


def shown_at_64(folder: DataFolder, tasks: Sequence[int]) -> list[int]:
    """Return the tasks whose seed survives at 64^3."""
    table, store = LocalData(folder).table(tasks), PackedStore(folder)
    labels = ((task, store.segmentation(int(table.volume[table.row(task)]))) for task in tasks)
    return [task for task, packed in labels if np.isin(packed, table.seed(table.row(task))).any()]


def answers(tasks: Sequence[int], words: Sequence[str], *, checker: Path | None, scratch: Path) -> None:
    """Print how fast answers come where no graph is kept yet, how many conform, and what they depend on."""
    began = time.perf_counter()
    first = answered([*EWVAL, "-", "--json", *words], tasks)
    seconds = time.perf_counter() - began
    print(
        f"{len(first)} of {len(tasks)} tasks answered in {seconds:.1f} s, graphs included: {len(first) / seconds:.2f}/s"
    )
    if checker is not None:
        path = scratch / "answers.jsonl"
        path.write_bytes(b"".join(first))
        command = [sys.executable, str(checker), "predict", str(path)]
        said = subprocess.run(command, capture_output=True, text=True)
        faults = [line for line in said.stderr.splitlines() if line.startswith("line ")]
        if bool(said.returncode) != bool(faults):
            sys.exit(said.stderr)
        wrong = {line.partition(":")[0] for line in faults}
        print("\n".join([*faults, f"{len(first) - len(wrong)} of {len(first)} conform"]))
    team = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *EWVAL[1:]]
    others = {
        "in reverse, --batch-size 1": answered([*EWVAL, "-", "--json", *words, "--batch-size", "1"], tasks[::-1])[::-1],
        "by two processes": answered([*team, "-", "--json", *words], tasks),
    }
    for how, lines in others.items():
        print(f"{how}: {'the same bytes' if lines == first else 'OTHER ANSWERS'}")


def answered(command: Sequence[str], tasks: Sequence[int]) -> list[bytes]:
    """Return the lines that a command prints for tasks on stdin; its failures are shown."""
    text = "\n".join(map(str, tasks)).encode()
    result = subprocess.run(command, input=text, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if result.returncode:
        print("".join(line for line in result.stderr.decode().splitlines(keepends=True) if line.startswith("ewval:")))
    return result.stdout.splitlines(keepends=True)


def timed(command: Sequence[str], *, text: str = "") -> float:
    # Installed packages have their bytecode; a checkout must be allowed to write its own.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    result = subprocess.run(
        [str(word) for word in command], input=text, capture_output=True, text=True, env=environment
    )
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{result.stderr}")
    return time.perf_counter() - began


def cold_start(task: int, words: Sequence[str]) -> None:
    predict = [*EWVAL, str(task), *words]
    timed(predict)  # once, so that neither pays for a cold disk, and the graph of the volume is there
    torch = min(timed([sys.executable, "-c", "import torch"]) for _ in range(5))
    whole = min(timed(predict) for _ in range(5))
    print(
        f"cold start: import torch {torch:.2f} s, ewval predict {whole:.2f} s, ratio {whole / torch:.2f}"
        " (at most 0.6 with the default model)"
    )


def one_process_against_many(tasks: Sequence[int], words: Sequence[str]) -> None:
    step = max(1, len(tasks) // ALONE)
    alone = sum(timed([*EWVAL, str(task), "--json", *words]) for task in tasks[::step][:ALONE]) / ALONE
    together = timed([*EWVAL, "-", "--json", *words], text="\n".join(map(str, tasks)))
    many = alone * len(tasks)
    print(
        f"{len(tasks)} tasks: one process {together:.1f} s ({len(tasks) / together:.2f} tasks/s), a process each"
        f" {many:.1f} s (extrapolated from {ALONE}), {many / together:.2f} times faster (at least 3)"
    )


def where_time_goes(folder: DataFolder, tasks: Sequence[int], model: str | None) -> None:
    from ewval.core.models.registry import load_decider
    from ewval.core.predict.run import PredictRequest, PredictRun

    request = PredictRequest(folder, tuple(tasks), load_decider(model))
    profile = cProfile.Profile()
    with profile:
        for result in PredictRun(request, fetch=lambda *_: None):
            json.dumps(getattr(result, "document", None))
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    total = max(entry[3] for entry in stats.values())
    print(f"where {total:.1f} s for {len(tasks)} tasks go, without start-up:")
    for stage, (file, function) in STAGES.items():
        spent = sum(e[3] for (path, _, name), e in stats.items() if path.endswith(file) and name == function)
        print(f"  {stage:28} {spent:6.2f} s {100 * spent / total:5.1f} %")


def resolutions(folder: DataFolder, tasks: Sequence[int], model: str | None) -> None:
    """Print how far verdicts at 64^3 agree with those at full resolution, and what 64^3 cannot see."""
    from ewval.core.models.registry import load_decider
    from ewval.core.predict.prediction import predict_samples
    from ewval.core.tasks.samples import SampleBuilder

    table = LocalData(folder).table(tasks)
    builder = SampleBuilder(table, PackedStore(folder))
    loaded = load_decider(model)
    same = seen = unseen = 0
    same_voxels = voxels = unseen_voxels = 0
    runs = [
        predict_samples(
            loaded,
            (builder.build(task) for task in tasks),
            sources=VolumeSource(folder, full_resolution=is_full),
            seeds=lambda task: table.seed(table.row(task)).tolist(),
        )
        for is_full in (True, False)
    ]
    for full, packed in zip(*runs, strict=True):
        verdicts = {score.id: score.verdict for score in packed.segments}
        scored = set(packed.table.ids.tolist())
        for score in full.segments:
            if score.id not in scored:
                unseen, unseen_voxels = unseen + 1, unseen_voxels + score.voxels
                continue
            is_same = verdicts.get(score.id, "reject") == score.verdict
            same, seen = same + is_same, seen + 1
            same_voxels, voxels = same_voxels + is_same * score.voxels, voxels + score.voxels
    print(
        f"64^3 against full resolution, {len(tasks)} tasks, {seen} candidates: {100 * same / max(seen, 1):.2f} % of"
        f" verdicts agree ({100 * same_voxels / max(voxels, 1):.2f} % by volume); {unseen} more candidates"
        f" ({100 * unseen_voxels / max(voxels + unseen_voxels, 1):.3f} % of the volume) do not survive at 64^3"
    )


if __name__ == "__main__":
    main()
