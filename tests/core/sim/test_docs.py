import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "simulator.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if PAGE.is_file() else []


def test_the_first_two_snippets_of_the_page_run() -> None:
    if not SNIPPETS:
        pytest.skip("no docs beside the tests")
    scope: dict[str, object] = {}
    exec("\n".join(SNIPPETS[:2]).replace("edge=128", "edge=64"), scope)
    assert len(scope["exercises"]) > 50  # type: ignore[arg-type]


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_every_import_of_the_page_works(snippet: str) -> None:
    imports = "\n".join(line for line in snippet.splitlines() if line.startswith(("from", "import")))
    scope: dict[str, object] = {}
    exec(imports, scope)
    assert len(scope) > 1
