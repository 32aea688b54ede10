"""Pictures are drawn without a screen, whatever a notebook has set for itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DRAW = """
import os, sys
from ewval.core.show.figures import new_figure
figure = new_figure(figsize=(2, 1))
figure.subplots().plot([1, 2], [3, 4])
for form in ("png", "svg"):
    figure.savefig(sys.argv[1] + "." + form)
print(os.environ.get("MPLBACKEND"))
"""


@pytest.mark.parametrize(
    "backend", [None, "", "nonsense", "module://matplotlib_inline.backend_inline_that_is_not_there", "tkagg", "agg"]
)
def test_no_backend_of_the_environment_is_needed(tmp_path: Path, backend: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("MPLBACKEND", "DISPLAY")}
    environment |= {} if backend is None else {"MPLBACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(tmp_path / "figure")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{backend}\n"  # what is started from here may want it
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "figure.svg").read_bytes()
