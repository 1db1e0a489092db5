"""``tritium check``: whether a repository can be served, without serving it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from tritium.cli.load_check import load_models
from tritium.cli.static_check import Finding, check_models
from tritium.cli.verify import Comparison, verify_models
from tritium.errors import TritiumError
from tritium.repository.prepare import PrepareOptions
from tritium.repository.scan import Snapshot, scan

OK = 0
FAILED = 1
UNUSABLE = 2


@dataclass(frozen=True, slots=True)
class _Layout:
    """Column widths of the report."""

    name: int
    versions: int


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Teach ``parser`` the flags of ``tritium check``."""
    parser.add_argument("directory", nargs="+", type=Path, metavar="DIR", help="a model repository")
    parser.add_argument(
        "--load", action="store_true", help="load every model as the server would, and unload it"
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="compare the engines of each OneFlow model, translated and OneFlow's own, on random inputs",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of lines")
    parser.add_argument(
        "--cpu-fallback", action="store_true", help="as for tritium serve: KIND_GPU is served on the CPU"
    )
    parser.add_argument(
        "--model-config-name", metavar="NAME", help="as for tritium serve: check configs/NAME.pbtxt"
    )
    parser.add_argument(
        "--backend-directory", metavar="DIR", type=Path, help="as for tritium serve: python-based backends"
    )


def run(arguments: argparse.Namespace) -> int:
    """Check the repositories and print what was found: the exit code."""
    for directory in arguments.directory:
        if not directory.is_dir():
            return _refuse(
                f"{directory}: expected a directory, found {'a file' if directory.exists() else 'nothing'}"
            )
    try:
        snapshot = scan(arguments.directory, config_name=arguments.model_config_name)
    except TritiumError as error:
        return _refuse(str(error))
    if not snapshot.models:
        places = ", ".join(map(str, arguments.directory))
        return _refuse(f"no models in {places}; expected <model>/<version>/<model file> below it")
    prepare = PrepareOptions(
        cpu_fallback=arguments.cpu_fallback, backend_directory=arguments.backend_directory
    )
    findings = check_models(snapshot.models.values(), prepare)
    if arguments.load:
        findings = asyncio.run(load_models(snapshot.models, findings, prepare))
    compared: list[Comparison] = []
    if arguments.verify:
        compared = asyncio.run(verify_models(snapshot.models, findings, prepare))
    if arguments.json:
        print(json.dumps(_document(findings, snapshot, compared), indent=2))
    else:
        lines = _lines(findings, snapshot) + [comparison.line() for comparison in compared]
        print("\n".join(map(_shown, lines)))
    fine = all(finding.error is None for finding in findings) and all(c.fine for c in compared)
    return OK if fine else FAILED


def _refuse(message: str) -> int:
    print(f"tritium check: error: {message}", file=sys.stderr)
    return UNUSABLE


def _document(
    findings: Sequence[Finding], snapshot: Snapshot, compared: Sequence[Comparison]
) -> dict[str, object]:
    document: dict[str, object] = {
        "ok": all(finding.error is None for finding in findings) and all(c.fine for c in compared),
        "warnings": list(snapshot.warnings),
        "models": [
            {
                "name": finding.name,
                "ok": finding.error is None,
                "versions": list(finding.versions),
                "backend": finding.backend,
                "error": finding.error,
                "warnings": list(finding.warnings),
            }
            for finding in findings
        ],
    }
    if compared:
        document["verified"] = [
            {
                "name": comparison.name,
                "version": comparison.version,
                "ok": comparison.fine,
                "difference": comparison.difference if isfinite(comparison.difference) else None,
                "output": comparison.output,
                "error": comparison.problem or None,
            }
            for comparison in compared
        ]
    return document


def _lines(findings: Sequence[Finding], snapshot: Snapshot) -> list[str]:
    lines = [f"warn {warning}" for warning in snapshot.warnings]
    fine = [finding for finding in findings if finding.error is None]
    layout = _Layout(
        name=max((len(finding.name) for finding in fine), default=0),
        versions=max((len(_versions(finding)) for finding in fine), default=0),
    )
    for finding in findings:
        lines += [f"warn {finding.name}: {warning}" for warning in finding.warnings]
        lines.append(_line(finding, layout))
    return lines


def _shown(line: str) -> str:
    """``line`` without control characters, its own further lines indented."""
    inner = line.rstrip().replace("\n", "\n     ")
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in inner)


def _line(finding: Finding, layout: _Layout) -> str:
    if finding.error is not None:
        return f"FAIL {finding.name}: {finding.error}"
    name = finding.name.ljust(layout.name)
    return f"ok   {name}  versions {_versions(finding).ljust(layout.versions)}  backend {finding.backend}"


def _versions(finding: Finding) -> str:
    return ",".join(map(str, finding.versions))
