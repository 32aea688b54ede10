"""`--help`: summaries fit a terminal of 80 columns, panels are kept apart, examples are real command lines."""

import shlex

import pytest
import typer
from typer.testing import CliRunner

from ewval.cli.app import app
from ewval.cli.help import EXAMPLES

GROUP = typer.main.get_command(app)
COMMANDS = sorted(GROUP.commands)  # type: ignore[attr-defined]


def shown(*words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"}, terminal_width=80)
    assert result.exit_code == 0
    return result.stdout


def test_summaries_of_commands_are_not_cut_off() -> None:
    lines = shown().splitlines()
    listed = lines[lines.index("Commands:") + 1 :]
    assert [line.split()[0] for line in listed] == list(GROUP.commands)  # type: ignore[attr-defined]
    assert not [line for line in listed if "..." in line or len(line) > 80]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_two_or_three_examples(command: str) -> None:
    examples = EXAMPLES[command]
    assert len(examples) in (2, 3)
    tail = "".join(f"  {purpose}:\n    {line}\n" for purpose, line in examples)
    text = shown(command)
    assert text.endswith(f"\nExamples:\n{tail}")
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_examples_exist(command: str) -> None:
    parameters = GROUP.commands[command].params  # type: ignore[attr-defined]
    known = {name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)}
    for _, line in EXAMPLES[command]:
        words = shlex.split(line)
        assert words[:2] == ["ewval", command]
        assert {word for word in words if word.startswith("--")} <= known


def test_options_of_networks_stand_in_a_panel_of_their_own() -> None:
    text = shown("train")
    panel = text[text.index("Networks") : text.index("Examples:")]
    assert "--learning-rate" in panel
    assert "--run" not in panel
