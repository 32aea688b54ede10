"""Compiles the kernels into the wheel, or into the checkout for an editable install; see docs/architecture.md."""

import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class KernelBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Without a C compiler the wheel holds Python alone: numpy does all the work."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and name the platform that the wheel is for."""
        if self.target_name != "wheel":
            return
        kernels = Path(self.root, "src/ewval/core/kernels")
        library = runpy.run_path(str(kernels / "build.py"))["build"](kernels)
        if library is None:
            self.app.display_warning("no C compiler, or it failed: ewval works, by numpy alone and slower")
            return
        # Called by ctypes, so any Python can load it.
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        build_data["pure_python"] = False
        build_data["artifacts"].append(f"/src/ewval/core/kernels/{library.name}")
