"""`ewval pack`: raw volumes to packed ones."""

import os
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ewval.cli.errors import Exit, describe, exit_code
from ewval.cli.options import (
    DATA_DEFAULT,
    Dask,
    Data,
    Json,
    Quiet,
    Verbose,
    Workers,
    data_folder,
    hold_nothing,
    parse_ids,
)
from ewval.cli.output import message, open_output
from ewval.cli.progress import progress_bar
from ewval.cli.show.packing import without_graph
from ewval.core.constants import ENV_DEBUG, FACTOR
from ewval.core.errors import EwvalError

if TYPE_CHECKING:
    from ewval.core.packing.pack import PackSummary
    from ewval.core.packing.verify import VerifySummary
    from ewval.core.workers import Failure


def pack(
    volume_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="VOLUME_ID...|-", help="Volume ids; - reads them from stdin. Default: all."),
    ] = None,
    data: Data = DATA_DEFAULT,
    factor: Annotated[int, typer.Option(help="Downsampling along each edge: 1, 2, 4 or 8.")] = FACTOR,
    workers: Workers = None,
    dask: Dask = None,
    no_graph: Annotated[
        bool, typer.Option("--no-graph", help="Skip segment graphs, which the default model needs.")
    ] = False,
    drop_raw: Annotated[bool, typer.Option("--drop-raw", help="Delete each raw volume once it is packed.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Afterwards, check every packed file and task.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Pack raw volumes and measure their segment graphs."""
    from ewval.core.packing.pack import PackRequest
    from ewval.core.packing.pack import pack as pack_volumes
    from ewval.core.packing.verify import verify as verify_volumes
    from ewval.core.workers import Workers as Pool

    output = open_output(json=json, quiet=quiet, verbose=verbose)
    folder = data_folder(data, must_exist=True)
    ids = parse_ids(volume_ids, what="volume id")
    request = PackRequest(
        folder,
        ids,
        factor=factor,
        graph=not no_graph,
        drop_raw=drop_raw,
        workers=Pool(workers, dask),
    )
    if hold_nothing(ids):
        output.nothing_to_do("the list holds no volume ids")
        return
    with progress_bar("pack", quiet=quiet) as progress:
        packed = pack_volumes(request, progress=progress)
    checked = None
    if verify:
        with progress_bar("verify", quiet=quiet) as progress:
            checked = verify_volumes(folder, request.volumes, factor=factor, workers=request.workers, progress=progress)
    failed = _unique([*packed.failed, *(checked.failed if checked else ())])
    output.result(_document(packed, checked, failed), text=_text(packed, checked), ids=packed.done)
    if packed.without_graph:
        output.note(f"ewval: {without_graph(packed.without_graph)}")
    for failure in failed:
        _report(failure)
    if failed:
        raise typer.Exit(_exit(failed, is_partly=bool(packed.done or packed.skipped or (checked and checked.verified))))


def _unique(failures: "Sequence[Failure]") -> "list[Failure]":
    """Return the first failure of each volume: what could not be packed is missing to `verify` too."""
    return list({failure.item: failure for failure in reversed(failures)}.values())[::-1]


def _document(packed: "PackSummary", checked: "VerifySummary | None", failed: "Sequence[Failure]") -> dict[str, object]:
    document: dict[str, object] = {
        "done": len(packed.done),
        "skipped": packed.skipped,
        "absent": 0,
        "failed": [{"id": failure.item, "reason": str(failure.error)} for failure in failed],
        "seconds": round(packed.seconds, 3),
        "bytes": packed.bytes,
        "graphs": packed.graphs,
        "without_graph": len(packed.without_graph),
        "volumes_per_s": round(len(packed.done) / packed.seconds, 3) if packed.done else 0.0,
    }
    return document if checked is None else document | {"verified": checked.verified}


def _text(packed: "PackSummary", checked: "VerifySummary | None") -> str:
    lines = [_packed_text(packed)]
    if checked is not None:
        line = f"verified {_volumes(checked.verified)} in {checked.seconds:.1f} s"
        lines.append(line + (f"; {len(checked.failed)} failed" if checked.failed else ""))
    return "\n".join(lines)


def _packed_text(packed: "PackSummary") -> str:
    before = f"{_volumes(packed.skipped)} {'was' if packed.skipped == 1 else 'were'} packed before"
    if not (packed.done or packed.failed):
        if packed.skipped:
            return f"nothing to do: {before}"
        return "nothing to pack: there are no raw volumes; `ewval fetch` downloads them"
    line = f"packed {_volumes(len(packed.done))}, {packed.bytes / 1e6:.1f} MB, in {packed.seconds:.1f} s"
    if packed.graphs:
        line += f", of which {packed.graph_bytes / packed.graphs / 1e6:.2f} MB a graph"
    line += f"; {before}" if packed.skipped else ""
    return line + (f"; {len(packed.failed)} failed" if packed.failed else "")


def _volumes(count: int) -> str:
    return f"{count} volume" if count == 1 else f"{count} volumes"


def _report(failure: "Failure") -> None:
    """Name the volume and what is wrong with it; what nobody foresaw, or EWVAL_DEBUG, adds the worker's traceback."""
    error = failure.error
    if os.environ.get(ENV_DEBUG) or not isinstance(error, EwvalError | OSError):
        message("".join(traceback.format_exception(error)).rstrip())
    reason = describe(error) if isinstance(error, EwvalError) else f"{type(error).__name__}: {error}"
    message(f"ewval: volume {failure.item}: {reason}")


def _exit(failed: "Sequence[Failure]", *, is_partly: bool) -> Exit:
    codes = {exit_code(f.error) if isinstance(f.error, EwvalError) else Exit.UNEXPECTED for f in failed}
    return Exit.PARTLY if is_partly or len(codes) > 1 else codes.pop()
