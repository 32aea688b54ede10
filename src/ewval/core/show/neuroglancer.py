"""One answered task in neuroglancer, a viewer that runs in the browser: image and segments at the best resolution."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ewval.core.constants import CUBE_EDGE, VOXEL_SIZE_NM
from ewval.core.errors import ExtraError
from ewval.core.show.slices import COLOURS, centre_of
from ewval.core.show.viewer import VolumePicture
from ewval.core.volumes.voxels import mask_of

KINDS = {"seed": "seed", "add": "add", "maybe": "maybe", "remove": "doubted"}
"""Keys of an answer's document that are shown, and the colour of each."""


def open_viewer(document: Mapping[str, Any], volume: VolumePicture) -> Any:
    """Start a viewer on 127.0.0.1; its `str` is its address, which answers as long as somebody holds the viewer.

    Args:
        document: The answer; the segments that it names are selected and coloured by verdict.
        volume: The volume of its task.

    Raises:
        ExtraError: neuroglancer is not installed.
    """
    try:
        import neuroglancer
    except ImportError as error:
        raise ExtraError("view", "neuroglancer") from error
    viewer = neuroglancer.Viewer()
    fill_viewer(viewer, document, volume)
    return viewer


def fill_viewer(viewer: Any, document: Mapping[str, Any], volume: VolumePicture) -> None:
    """Give a viewer both layers, and look at the seed: x to the right and y down first, as the game shows it."""
    import neuroglancer

    scales, edge = _voxel_nm(volume.labels), len(volume.labels)
    with viewer.txn() as state:
        state.dimensions = neuroglancer.CoordinateSpace(names=["x", "y", "z"], units="nm", scales=scales[::-1])
        seed = mask_of(volume.labels, np.array(document["seed"], dtype=np.uint32))
        state.position = [share * edge for share in reversed(centre_of(seed))]
        state.layers["image"] = neuroglancer.ImageLayer(source=_source(neuroglancer, volume.image, kind="image"))
        state.layers["segments"] = neuroglancer.SegmentationLayer(
            source=_source(neuroglancer, volume.labels, kind="segmentation"),
            segments=list(selected(document)),
            segment_colors=selected(document),
        )
        state.layout = "4panel"
        state.show_slices = False  # in 3D they would hide the bodies


def selected(document: Mapping[str, Any]) -> dict[int, str]:
    """Return the segments that an answer names, each with its colour as #rrggbb."""
    named = [(segment, colour) for key, colour in KINDS.items() for segment in document[key]]
    return {segment: "#" + "".join(f"{part:02x}" for part in COLOURS[colour]) for segment, colour in named}


def _source(neuroglancer: Any, array: NDArray[np.generic], *, kind: str) -> Any:
    dimensions = neuroglancer.CoordinateSpace(names=["z", "y", "x"], units="nm", scales=_voxel_nm(array))
    return neuroglancer.LocalVolume(array, dimensions=dimensions, volume_type=kind)


def _voxel_nm(array: NDArray[np.generic]) -> list[float]:
    """Return the edges of a voxel, nm z y x, of a volume that was downsampled or was not."""
    return [size * CUBE_EDGE / array.shape[0] for size in VOXEL_SIZE_NM]
