"""Pages of the documentation, typed in by a program."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.harness.server import ServerProcess

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Page:
    """The code blocks of a page below ``docs``; those without a language are for the shell."""

    def __init__(self, name: str) -> None:
        self.blocks = [(m[1], m[2]) for m in _BLOCK.finditer((DOCS / name).read_text())]

    def block(self, start: str) -> str:
        """The one code block that begins with ``start``."""
        (found,) = [text for _, text in self.blocks if text.startswith(start)]
        return found

    def commands(self, containing: str) -> list[str]:
        """The commands that contain a text, continuation lines joined; a newline stands for a line's end."""
        shell = "\n".join(text for language, text in self.blocks if not language).replace("\\\n", " ")
        return [line.strip() for line in shell.splitlines(keepends=True) if containing in line]

    def command(self, containing: str) -> str:
        """The only one of them."""
        (found,) = self.commands(containing)
        return found


def typed(command: str, server: ServerProcess) -> str:
    """What a command of a page prints, with the ports of this run."""
    command = command.replace("localhost:8000", f"localhost:{server.http_port}")
    command = command.replace("localhost:8002", f"localhost:{server.metrics_port}")
    assert shutil.which("curl"), "the page needs curl: apt-get install curl"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout
