"""``python -m tritium`` is the ``tritium`` command."""

from __future__ import annotations

import sys

from tritium.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
