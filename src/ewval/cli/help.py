"""What all commands share: a help of options in panels, then examples, in ASCII and 80 columns; paths below home."""

from typing import Any

from typer.core import TyperCommand

from ewval.cli.values import expand_home

Example = tuple[str, str]
"""What it is for, and the command line."""

EXAMPLES: dict[str, tuple[Example, ...]] = {
    "fetch": (
        ("A cell: its tasks, their ancestors and the volumes, packed", "ewval fetch --cell 77960 --pack"),
        ("What that would take, without fetching anything", "ewval fetch --cell 77960 --dry-run"),
        ("Task ids from a file, raw volumes not kept", "ewval fetch - --pack --drop-raw < ids.txt"),
    ),
    "pack": (
        ("Every raw volume, and a check of what was packed", "ewval pack --verify"),
        ("Two volumes, on a Dask cluster", "ewval pack 71141 71142 --dask tcp://10.0.0.1:8786"),
    ),
    "index": (
        ("Train and test in different volumes", "ewval index"),
        ("Five folds by cell", "ewval index --split cell --folds 5"),
        ("Two cells as a data folder of their own", "ewval index --cell 77960 --cell 61426 --out two-cells"),
    ),
    "train": (
        ("Train on the train side of the data folder", "ewval train --run runs/first"),
        ("Train lwunet on one GPU", "ewval train --run runs/net --arch lwunet --device cuda"),
        ("Follow a recipe of your own, on fold 2", "ewval train --run runs/mine --recipe mine.toml --fold 2"),
    ),
    "eval": (
        ("Score the packaged model on the test side", "ewval eval --out scores"),
        ("Your own model beside the packaged one", "ewval eval --model runs/first --compare graph"),
        ("A quick look at 50 tasks", "ewval eval --limit 50 --no-baselines"),
    ),
    "predict": (
        ("One task; what is missing is fetched first", "ewval predict 1415863"),
        ("Many tasks, those that need people first", "ewval predict - --rank < ids.txt"),
        ("Slices and a 3D view in one HTML file", "ewval predict 1415863 --report"),
    ),
    "review": (
        ("The tasks of a cell, those that need a person first", "ewval review --cell 77960"),
        ("What was settled, as JSON lines", "ewval review --export > settled.jsonl"),
    ),
    "demo": (
        ("In the folder ewval-demo", "ewval demo"),
        ("A smaller world, elsewhere", "ewval demo --small --out /tmp/demo"),
    ),
    "doctor": (
        ("Check the installation and ./ewval-data", "ewval doctor"),
        ("Check another data folder, as JSON", "ewval doctor --data /big/eyewire --json"),
    ),
}


class EwvalCommand(TyperCommand):
    """A command whose help has a section for each panel of options, and examples at the end."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command, with what ~ stands for in its values."""
        ctx.params = expand_home(ctx.params)
        return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:  # Typer does not export these types
        """Write arguments, options, and the options that name a panel of their own."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(_section(parameter), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the base class passes it
        """Write the examples of the command."""
        with formatter.section("Examples"):
            for purpose, line in EXAMPLES.get(self.name or "", ()):
                formatter.write(f"  {purpose}:\n    {line}\n")


def _section(parameter: Any) -> str:
    panel: str | None = getattr(parameter, "rich_help_panel", None)
    return panel or ("Arguments" if parameter.param_type_name == "argument" else "Options")
