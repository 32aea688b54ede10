"""Tests lie where a reader looks for them: their folders mirror those of the package."""

from pathlib import Path

import ewval

TESTS = Path(__file__).parent
SOURCE = Path(ewval.__file__).parent


def folders(root: Path, pattern: str) -> set[str]:
    return {path.parent.relative_to(root).as_posix() for path in root.rglob(pattern)}


def test_every_test_folder_is_named_as_a_package() -> None:
    assert {
        folder for folder in folders(TESTS, "test_*.py") if not (SOURCE / folder / "__init__.py").is_file()
    } == set()


def test_every_package_with_modules_has_a_test_folder() -> None:
    rooms = {folder for folder in folders(SOURCE, "[a-z]*.py") if folder != "."}
    assert rooms - folders(TESTS, "test_*.py") == set()


def test_no_folder_holds_more_than_twenty_modules() -> None:
    rooms = folders(SOURCE, "*.py")
    assert {room for room in rooms if len(list((SOURCE / room).glob("[a-z]*.py"))) > 20} == set()
