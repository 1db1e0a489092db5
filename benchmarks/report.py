"""The report: the machine, the versions, a table and what was skipped."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from benchmarks.comparison import Row

RESULTS = Path(__file__).with_name("RESULTS.md")
# What other programs measured, and, by hand, profiles; they follow the table.
_FRAGMENTS = ("where_time_goes.md", "batching_cost.md", "oneflow_results.md", "oneflow_soak.md")
_KEPT = f"<!-- from here on: {', '.join(_FRAGMENTS)} -->"
_KEPT_BEGINS = "<!-- from here on: "
_COLUMNS = ("what", "ours", "theirs", "ratio", "bar", "holds?")
_METHOD = (
    "Both sides run on the same machine and are measured in turns; a figure is the median of the windows, "
    "with the smallest and the largest in brackets."
)


def render_report(rows: Sequence[Row], facts: Mapping[str, str], commands: Sequence[str]) -> str:
    """Markdown: facts by name, the table, reasons for what is missing, and the commands as they were run."""
    lines = ["# Benchmarks", "", "Written by `make bench`; do not edit.", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", _METHOD, ""]
    lines += render_table(rows)
    notes = [f"- {row.what}: {row.note}" for row in rows if row.note]
    lines += ["", "Notes:", "", *notes] if notes else []
    lines += ["", "Commands:", "", "```", *commands, "```", "", _fragments()]
    return "\n".join(lines)


def refresh() -> None:
    """Bring what follows the table of RESULTS.md up to date."""
    head = RESULTS.read_text().partition(_KEPT_BEGINS)[0]
    RESULTS.write_text(head + _fragments())


def _fragments() -> str:
    found = [RESULTS.with_name(name) for name in _FRAGMENTS]
    return "\n".join([_KEPT, "", *(path.read_text() for path in found if path.exists())])


def render_table(rows: Sequence[Row]) -> list[str]:
    """The table's lines: header, rule, then one per row."""
    lines = [f"| {' | '.join(_COLUMNS)} |", "|" + "---|" * len(_COLUMNS)]
    for row in rows:
        cells = (row.what, row.ours, row.theirs, row.ratio, row.bar, _verdict(row))
        lines.append(f"| {' | '.join(cell.replace('|', '/') or '-' for cell in cells)} |")
    return lines


def machine_facts() -> dict[str, str]:
    """What the figures depend on: processor, cores, memory, system, load before the run."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = {
        "processor": f"{_processor()}, {cores} cores",
        "system": f"{platform.system()} {platform.machine()}",
    }
    if hasattr(os, "getloadavg"):
        facts["load average before the run"] = f"{os.getloadavg()[0]:.2f}"
    return facts


def versions(names: Sequence[str]) -> str:
    """``name version`` of each installed distribution among ``names``, and Python's own."""
    found = [f"Python {platform.python_version()}"]
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} (not installed as a distribution)")
    return ", ".join(found)


def _verdict(row: Row) -> str:
    if row.holds is None:
        return "skipped" if row.note or not row.ours else "shown"
    return "yes" if row.holds else "**no**"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else "unknown processor"
