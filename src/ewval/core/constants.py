"""Numbers and names that more than one module needs, each with its unit, meaning and source."""

# Geometry. Axis order is z, y, x everywhere.
CUBE_EDGE = 256
"""Voxels along each edge of an Eyewire volume."""
CUBE_OVERLAP = 32
"""Voxels that neighbouring volumes share along an axis (igneous `e2198` task code)."""
CUBE_STRIDE = CUBE_EDGE - CUBE_OVERLAP
"""Voxels between the origins of neighbouring volumes: 224."""
FACTOR = 4
"""Default downsampling factor from raw to packed volumes."""
PACKED_EDGE = CUBE_EDGE // FACTOR
"""Voxels along each edge of a packed volume: 64."""
VOXEL_SIZE_NM = (23.0, 16.5, 16.5)
"""Nanometres per raw voxel in E2198, z y x (https://wiki.eyewire.org/E2198)."""
SEGMENT_ID_COUNT = 65_536
"""Segment ids are uint16 and unique only inside their volume; 0 is boundary."""

# What the network is told before its first loop (the 2019 seed system's convention).
SEED_CONFIDENCE = 1.0
ELSEWHERE_CONFIDENCE = 10.0
DEFAULT_CONTEXT = 2
"""Ancestors whose masks are given as context."""
DEFAULT_LOOPS = 4

# Eyewire.
DEFAULT_API = "https://eyewire.org"
MOUSE_DATASET = 1
"""Dataset id of E2198, the mouse retina."""
ZEBRAFISH_DATASET = 11
"""Dataset id of the zebrafish, whose volumes are of another size and kind."""
STATUS_ACTIVE, STATUS_TUTORIAL, STATUS_HIDDEN, STATUS_FROZEN, STATUS_DUPLICATE = 0, 3, 6, 10, 11
"""Task states of Eyewire's API."""

# Environment variables.
ENV_DATA = "EWVAL_DATA"
ENV_API = "EWVAL_API"
ENV_MODEL = "EWVAL_MODEL"
ENV_TOKEN = "EWVAL_TOKEN"
ENV_TOKEN_SEED_SYSTEM = "EW_OAUTH2"
ENV_CONTACT = "EWVAL_CONTACT"
ENV_DEBUG = "EWVAL_DEBUG"
ENV_KERNELS = "EWVAL_KERNELS"
"""`off` leaves the compiled kernels aside: numpy does all the work, slower, with the same results."""
DEFAULT_DATA = "ewval-data"
CONFIG_FILE = "ewval.toml"

FOREIGN = 0.3
"""Familiarity below which a volume counts as unlike anything known."""
