"""A folder in Eyewire's wire format: which file answers which request."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ewval.core.errors import MissingError

BUCKET = "{BUCKET}"
"""Stands in `full_path` for the base URL of the volumes."""


@dataclass(frozen=True, slots=True)
class WireFolder:
    """One or more folders with `api/` and `volumes/`; where several answer, the first one does.

    Raises:
        MissingError: A folder has no `api/` in it.
    """

    roots: tuple[Path, ...]

    def __post_init__(self) -> None:
        for root in self.roots:
            if not (root / "api").is_dir():
                raise MissingError(f"wire-format folder {root}", hint="it should hold api/ and volumes/")

    @classmethod
    def at(cls, folders: Path | Sequence[Path]) -> "WireFolder":
        """Return the wire folder over one path or several."""
        return cls((folders,) if isinstance(folders, Path) else tuple(folders))

    def api(self, path: str, *, bucket_url: str) -> bytes | None:
        """Return the JSON that answers `GET /<path>`, None where there is none."""
        content = self._read("api", f"{path}.json")
        return None if content is None else content.replace(BUCKET.encode(), bucket_url.encode())

    def cells(self, dataset: str) -> bytes:
        """Return the JSON array that answers `GET /1.0/cell?dataset=<dataset>`."""
        listings = (root / "api" / "1.0" / "cell.json" for root in self.roots)
        rows = [row for path in listings if path.is_file() for row in json.loads(path.read_bytes()).get(dataset, [])]
        return json.dumps(rows, allow_nan=False).encode()

    def file(self, path: str) -> bytes | None:
        """Return a file of the bucket, None where there is none."""
        return self._read("volumes", path)

    def _read(self, part: str, path: str) -> bytes | None:
        for root in self.roots:
            base = (root / part).resolve()
            found = (base / path).resolve()
            if found.is_relative_to(base) and found.is_file():
                return found.read_bytes()
        return None
