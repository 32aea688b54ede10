"""What is said beside the answers of `ewval predict`."""

import pytest

from ewval.cli.output import open_output
from ewval.cli.show.answers import Presenter

DOCUMENT = {
    "task": 1, "cell": 2, "volume": 3, "seed": [4], "consensus": None, "add": [5], "maybe": [], "remove": [],
    "segments": [], "agreement": None, "review_priority": 0.5, "missing": [], "doubts": [], "unscored": [],
    "resolution": "full",
}  # fmt: skip


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize(("familiarity", "is_warned"), [(0.1, True), (0.9, False), (None, False)])
def test_volumes_unlike_anything_known_are_named_with_the_way_out(
    familiarity: float | None, *, is_warned: bool, quiet: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    presenter = Presenter(open_output(json=True, quiet=quiet, verbose=False), "json")
    for volume in (3, 6):
        presenter.show({**DOCUMENT, "volume": volume, "familiarity": familiarity})
    presenter.finish(reads_contacts=True)
    said = capsys.readouterr().err
    assert ("2 volumes, 3 most of all, are unlike anything" in said) == is_warned
    assert ("ewval train" in said) == is_warned
