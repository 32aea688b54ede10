"""Does Eyewire tasks by itself and says how sure it is."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ewval.nn.api import Model, SegmentScore, load_model, predict_segments, predict_voxels

__version__ = "0.1.0"

__all__ = ["Model", "SegmentScore", "__version__", "load_model", "predict_segments", "predict_voxels"]


def __getattr__(name: str) -> Any:
    # These need torch, whose import takes seconds that `ewval --help` must not pay.
    if name in __all__:
        from ewval.nn import api

        return getattr(api, name)
    raise AttributeError(f"module 'ewval' has no attribute {name!r}")
