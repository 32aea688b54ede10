"""Where everything lies in a data folder."""

import errno
from dataclasses import dataclass
from pathlib import Path

ABSENT = (errno.ENOENT, errno.ENOTDIR)


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The paths of one data folder; nothing is created by asking for a path.

    Source: the packed volumes and the two task files lie where the 2019 seed system put them, so its folders open as
    they are.
    """

    root: Path

    def raw(self, volume: int) -> Path:
        """Folder of a volume as downloaded: `jpg/N.jpg`, `segmentation.lzma`, `metadata.json`."""
        return self.root / "raw" / str(volume)

    def image(self, volume: int) -> Path:
        """Packed image, uint8 64^3."""
        return self.root / "images" / str(volume) / "image.lzma"

    def segmentation(self, volume: int) -> Path:
        """Packed segmentation, uint16 64^3."""
        return self.root / "segmentation" / str(volume) / "segmentation.lzma"

    def is_packed(self, volume: int) -> bool:
        """Whether both packed files of a volume are there."""
        return is_there(self.segmentation(volume)) and is_there(self.image(volume))

    def graph(self, volume: int) -> Path:
        """Full-resolution segment graph of a volume, kept since measuring it takes seconds."""
        return self.root / "graphs" / f"{volume}.npz"

    def judged(self, volume: int) -> Path:
        """What the latest model said of the contacts in that graph."""
        return self.root / "graphs" / f"{volume}.judged.npz"

    @property
    def ledger(self) -> Path:
        """What has been fetched."""
        return self.root / "eyewire.sqlite"

    @property
    def reviews(self) -> Path:
        """What people said of tasks under `ewval review`."""
        return self.root / "reviews.sqlite"

    @property
    def task_vol(self) -> Path:
        """Task id to volume id."""
        return self.root / "task_vol.json"

    @property
    def task_data(self) -> Path:
        """Seed, parent and aggregate of each task."""
        return self.root / "task_data.json"

    @property
    def split(self) -> Path:
        """Which tasks are trained on, validated with and tested with."""
        return self.root / "split.json"

    @property
    def failed(self) -> Path:
        """Ids that could not be fetched, valid input for the next run."""
        return self.root / "failed.txt"


def is_there(path: Path) -> bool:
    """Whether something is at `path`, be it of the wrong kind or out of reach: whoever reads it will say so.

    `Path.is_file` takes a folder for nothing, and fails where it may not look.
    """
    try:
        path.stat()
    except OSError as error:
        return error.errno not in ABSENT
    except ValueError:  # a name that no file can have
        return False
    return True
