"""Does Eyewire tasks by itself and says how sure it is."""

from typing import TYPE_CHECKING, Any

from ewval.core.version import __version__

if TYPE_CHECKING:
    from ewval.core.api import Decider, SegmentScore, load_model, predict_segments, predict_voxels

__all__ = ["Decider", "SegmentScore", "__version__", "load_model", "predict_segments", "predict_voxels"]


def __getattr__(name: str) -> Any:
    # These need numpy, whose import takes time that `ewval --help` must not pay.
    if name in __all__:
        from ewval.core import api

        return getattr(api, name)
    raise AttributeError(f"module 'ewval' has no attribute {name!r}")
