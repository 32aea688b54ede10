"""One answered task in neuroglancer, a viewer that runs in the browser: image and segments at the best resolution."""

from collections.abc import Mapping
from typing import Any

from ewval.core.constants import CUBE_EDGE, VOXEL_SIZE_NM
from ewval.core.errors import ExtraError
from ewval.core.pictures import COLOURS
from ewval.core.viewer import VolumePicture

KINDS = {"seed": "seed", "add": "add", "maybe": "maybe", "remove": "doubted"}
"""Keys of an answer's document that are shown, and the colour of each."""


def open_viewer(document: Mapping[str, Any], volume: VolumePicture) -> str:
    """Start a viewer on 127.0.0.1 and return its address; it is there as long as this process.

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
    with viewer.txn() as state:
        state.layers["image"] = neuroglancer.ImageLayer(source=_source(neuroglancer, volume.image, kind="image"))
        state.layers["segments"] = neuroglancer.SegmentationLayer(
            source=_source(neuroglancer, volume.labels, kind="segmentation"),
            segments=list(selected(document)),
            segment_colors=selected(document),
        )
        state.layout = "4panel"
    return str(viewer)


def selected(document: Mapping[str, Any]) -> dict[int, str]:
    """Return the segments that an answer names, each with its colour as #rrggbb."""
    named = [(segment, colour) for key, colour in KINDS.items() for segment in document[key]]
    return {segment: "#" + "".join(f"{part:02x}" for part in COLOURS[colour]) for segment, colour in named}


def _source(neuroglancer: Any, array: Any, *, kind: str) -> Any:
    spacing = [size * CUBE_EDGE / array.shape[0] for size in VOXEL_SIZE_NM]
    dimensions = neuroglancer.CoordinateSpace(names=["z", "y", "x"], units="nm", scales=spacing)
    return neuroglancer.LocalVolume(array, dimensions=dimensions, volume_type=kind)
