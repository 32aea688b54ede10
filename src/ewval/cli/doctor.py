"""`ewval doctor`: is everything in order, and how to mend what is not."""

from typing import TYPE_CHECKING

import typer

from ewval.cli import options
from ewval.cli.errors import Exit, advice, exit_code
from ewval.cli.output import Output, open_output
from ewval.core.errors import CredentialError, ServerError

if TYPE_CHECKING:
    from ewval.core.doctor.health import Finding


def doctor(
    data: options.Data = options.DATA_DEFAULT,
    api: options.Api = options.API_DEFAULT,
    token_file: options.TokenFile = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Check the installation, token, server and data folder.

    Each problem comes with its fix. Without a token, which is only a warning, the server is not contacted. Exit codes:
    0 if nothing is broken, 4 for a refused token, 5 for a server that cannot be reached, 6 for anything else.
    """
    from ewval.core.doctor import health
    from ewval.core.doctor.models import check_models
    from ewval.core.eyewire.credentials import read_token

    output = open_output(json=json, quiet=quiet, verbose=verbose)
    folder, token = options.data_folder(data), read_token(token_file)
    server, code = _check_server(api, token)
    findings = [
        *health.check_versions(),
        health.check_device(),
        *check_models(),
        health.check_disk(folder),
        health.check_token(token),
        *server,
        *health.check_folder(folder),
    ]
    _show(findings, output)
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(code or Exit.DATA)


def _check_server(api: str, token: str | None) -> "tuple[list[Finding], Exit | None]":
    """Return what a single request to the API shows, and the exit code where it failed."""
    from ewval.core.doctor.health import Finding
    from ewval.core.doctor.reach import check_server

    if token is None:
        return [], None
    try:
        return [check_server(api, token)], None
    except (CredentialError, ServerError) as error:
        return [Finding("server", "problem", str(error), advice(error))], exit_code(error)


def _show(findings: "list[Finding]", output: Output) -> None:
    from dataclasses import asdict

    if output.json:
        output.json_line({"findings": [asdict(finding) for finding in findings]})
        return
    for finding in findings:
        if output.quiet and finding.state == "ok":
            continue
        output.line(f"{finding.state:8s} {finding.name}: {finding.detail}")
        if finding.fix:
            output.line(f"{'':8s} -> {finding.fix}")
