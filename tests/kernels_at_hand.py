"""The compiled kernels for a test; it is skipped where they cannot be built."""

import shutil

import pytest

from ewval.core.kernels.build import build
from ewval.core.kernels.library import forget_kernels, kernels


def require_kernels() -> None:
    """Build the kernels where they are missing; without a C compiler the test is skipped, on one they must compile."""
    if kernels() is not None:
        return
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    assert build() is not None, "the kernels do not compile"
    forget_kernels()
    assert kernels() is not None, "the kernels do not load"
