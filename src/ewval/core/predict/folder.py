"""What `ewval predict --out` leaves: a folder a task, so that the same command goes on where it stopped.

DIR/run.json                     what the answers were made with
DIR/predictions.jsonl            all answers: those of earlier runs, then those of the latest in the order asked for
DIR/<task>/prediction.json       the answer; written last, so a task that has it is finished
DIR/<task>/masks.npz             voxel maps at 64^3
DIR/<task>/segments.nrrd         verdicts by voxel, at the best resolution at hand
DIR/<task>/slices.png            three orthogonal slices through the seed
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ewval.core.constants import CUBE_EDGE, SEGMENT_ID_COUNT, VOXEL_SIZE_NM
from ewval.core.errors import DamagedError, DataError, UsageError
from ewval.core.folder import is_there
from ewval.core.predict.answers import Answer, is_answer_to, to_document
from ewval.core.show.nrrd import encode_nrrd
from ewval.core.show.slices import Overlay, centre_of, draw_slices
from ewval.core.storage.arrays import read_arrays, write_arrays
from ewval.core.storage.files import replacing, sweep, write_atomically
from ewval.core.storage.reading import read_bytes
from ewval.core.storage.text import parse_json
from ewval.core.volumes.voxels import SegmentMask

CODES = {"seed": 1, "add": 2, "maybe": 3, "doubted": 4}
"""Values of segments.nrrd; 0 is everything else."""
LISTED = re.compile(r'\{"task": ([0-9]{1,19}),')
"""How a line of predictions.jsonl begins; the rest need not be parsed, since answers are read from their own files."""


class AnswerFolder:
    """The folder of one run.

    Args:
        root: Where it is.
        made_with: What decides the answers; a folder made with something else is refused.
        pictures: Whether maps and pictures are saved beside each answer.

    Raises:
        UsageError: The folder holds answers that were made with something else.
        WriteError: It cannot be written to.
        DamagedError: Its run.json cannot be read.
    """

    _made_by: tuple[Any, Any] | None
    """Model and loops; None where another process answers for it."""

    def __init__(self, root: Path, *, made_with: Mapping[str, Any], pictures: bool = True) -> None:
        self.root, self.pictures = root, pictures
        self._made_by = (made_with.get("model"), made_with.get("loops"))
        path = root / "run.json"
        wanted = json.loads(json.dumps(dict(made_with), allow_nan=False))
        if path.is_file() and (found := _read_json(path)) != wanted:
            changed = ", ".join(sorted(key for key in wanted if found.get(key) != wanted[key])) or "options"
            raise UsageError(f"{root} holds answers made with another {changed}; choose another folder or delete it")
        write_atomically(path, json.dumps(wanted, indent=2, allow_nan=False).encode() + b"\n")

    @classmethod
    def of_other_process(cls, root: Path, *, pictures: bool) -> "AnswerFolder":
        """Return the folder `root` as another process of the same run has opened it."""
        folder = cls.__new__(cls)
        folder.root, folder.pictures, folder._made_by = root, pictures, None
        return folder

    def is_finished(self, task: int) -> bool:
        """Whether all files of `task` are there; an answer that cannot be read is to be found anew."""
        return self.find(task) is not None

    def find(self, task: int) -> dict[str, Any] | None:
        """Return the saved answer of `task`; None where there is none, or none of this model, or it is damaged."""
        try:
            document = self.document(task)
        except DataError:
            return None
        # A folder whose run.json was deleted may hold answers of another model.
        return document if self._made_by in (None, (document["model"], document["loops"])) else None

    def has(self, task: int) -> bool:
        """Whether something is there that may be an answer to `task`."""
        return is_there(self._answer_path(task))

    def document(self, task: int) -> dict[str, Any]:
        """Return the saved answer of a finished task.

        Raises:
            DamagedError: It cannot be read, or is no answer to this task.
        """
        document = _read_json(path := self._answer_path(task))
        if not is_answer_to(task, document):
            raise DamagedError(str(path), f"it holds no answer to task {task}")
        return document

    def _listed(self) -> list[int]:
        """Return the tasks whose answers earlier runs have listed."""
        try:
            with self._list_path.open(encoding="ascii", errors="replace") as lines:
                begins = (LISTED.match(line) for line in lines)
                return list(dict.fromkeys(int(begin[1]) for begin in begins if begin))
        except OSError:  # there is none; a folder of that name is told when the list is written
            return []

    @property
    def _list_path(self) -> Path:
        return self.root / "predictions.jsonl"

    def _answer_path(self, task: int) -> Path:
        return self.root / str(task) / "prediction.json"

    def probability(self, task: int) -> NDArray[np.float32]:
        """Return the saved probability map of a finished task, float32 64^3.

        Raises:
            DamagedError: It cannot be read.
        """
        path = self.root / str(task) / "masks.npz"
        try:
            return np.asarray(read_arrays(path)["probability"], dtype=np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedError(str(path), f"no probabilities: {error}") from error

    def save(
        self,
        answer: Answer,
        *,
        packed: tuple[NDArray[np.uint8], NDArray[np.uint16]],
        image: NDArray[np.uint8] | None,
        labels: NDArray[np.uint16] | None,
    ) -> None:
        """Save one answer.

        Args:
            answer: What was found.
            packed: Image and segmentation at 64^3.
            image: The image at full resolution, where at hand.
            labels: The segmentation at full resolution, where at hand.
        """
        folder = self.root / str(answer.task)
        full = packed[1] if labels is None else labels
        dz, dy, dx = (size * CUBE_EDGE / full.shape[0] for size in VOXEL_SIZE_NM)
        write_arrays(folder / "masks.npz", _masks(answer, packed[1]), compressed=True)
        verdicts = verdict_codes(answer)[full]
        blob = encode_nrrd(verdicts, spacing_nm=(dz, dy, dx), content=_legend(answer.task))
        write_atomically(folder / "segments.nrrd", blob)
        with replacing(folder / "slices.png") as path:
            picture(answer, image=packed[0] if image is None else image, labels=full).save(path, format="PNG")
        self.save_document(answer.task, to_document(answer))

    def save_document(self, task: int, document: Mapping[str, Any]) -> None:
        """Save an answer alone; the task then is finished, and nothing is left of a run that was killed at it."""
        sweep(self._answer_path(task).parent)
        write_atomically(self._answer_path(task), json.dumps(document, allow_nan=False).encode() + b"\n")

    def finish(self, tasks: Iterable[int], *, failed: Mapping[int, str]) -> None:
        """Write what a run has come to: all answers as JSON lines, and the failures as ids to try again.

        Answers of earlier runs to tasks that were not asked for now stay, before the others.

        Args:
            tasks: In the order that was asked for.
            failed: Reasons by task.
        """
        asked = dict.fromkeys(tasks)
        earlier = [task for task in self._listed() if task not in asked]
        with replacing(self._list_path) as path, path.open("w", encoding="ascii") as lines:
            documents = (self.find(task) for task in (*earlier, *asked) if task not in failed)
            lines.writelines(json.dumps(document, allow_nan=False) + "\n" for document in documents if document)
        failures = "".join(f"{task}  # {' '.join(reason.split())}\n" for task, reason in failed.items())
        if failures:
            write_atomically(self.root / "failed.txt", failures.encode())
        else:
            (self.root / "failed.txt").unlink(missing_ok=True)


def verdict_codes(answer: Answer) -> NDArray[np.uint8]:
    """Return the value of each segment id in segments.nrrd, uint8 [65536]."""
    codes = np.zeros(SEGMENT_ID_COUNT, dtype=np.uint8)
    prediction = answer.prediction
    for name, ids in (
        ("doubted", answer.remove),
        ("maybe", prediction.maybe),
        ("add", prediction.add),
        ("seed", prediction.seed),
    ):
        codes[[i for i in ids if 0 < i < SEGMENT_ID_COUNT]] = CODES[name]
    return codes


def picture(answer: Answer, *, image: NDArray[np.uint8], labels: NDArray[np.uint16]) -> Image.Image:
    """Return three orthogonal slices through the seed: image, seed, players' trace, prediction, uncertainty.

    Args:
        answer: What was found.
        image: uint8, z y x.
        labels: Segment ids, z y x; another resolution than the image's is fine.
    """
    prediction = answer.prediction
    masks = {
        "seed": _segments(labels, prediction.seed),
        "add": _segments(labels, prediction.add),
        "maybe": _segments(labels, prediction.maybe),
        "doubted": _segments(labels, answer.remove),
    }
    columns = [Overlay("image"), Overlay("seed", [("seed", masks["seed"])])]
    if answer.consensus is not None:
        columns.append(Overlay("players", [("consensus", _segments(labels, answer.consensus))]))
    columns.append(Overlay("seed, add, maybe, doubted", [(name, masks[name]) for name in reversed(masks)]))
    columns.append(Overlay("uncertainty", heat=1.0 - np.abs(2.0 * prediction.probability - 1.0)))
    return draw_slices(image, columns, centre=centre_of(masks["seed"][:]))


def _masks(answer: Answer, packed: NDArray[np.uint16]) -> dict[str, NDArray[Any]]:
    prediction = answer.prediction
    return {
        "probability": prediction.probability.astype(np.float16),
        "sigma": prediction.sigma.astype(np.float16),
        "seed": _mask(packed, prediction.seed),
        "prediction": _mask(packed, (*prediction.seed, *prediction.add)),
        "maybe": _mask(packed, prediction.maybe),
        "consensus": _mask(packed, answer.consensus or ()),
    }


def _mask(labels: NDArray[np.uint16], ids: Iterable[int]) -> NDArray[np.bool_]:
    return _segments(labels, ids)[:]


def _segments(labels: NDArray[np.uint16], ids: Iterable[int]) -> SegmentMask:
    return SegmentMask(labels, np.array(list(ids), dtype=np.uint32))


def _legend(task: int) -> str:
    values = ", ".join(f"{value} {name}" for name, value in CODES.items())
    return f"ewval task {task}: {values}"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(read_bytes(path))
    except (FileNotFoundError, ValueError) as error:
        raise DamagedError(str(path), f"not JSON: {error}") from error
    if not isinstance(content, dict):
        raise DamagedError(str(path), "it does not hold a JSON object")
    return content
