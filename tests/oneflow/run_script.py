"""Run a script that imports OneFlow on a machine without its CUDA libraries.

python3.10 tests/oneflow/run_script.py SCRIPT [ARGUMENT ...]
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

import runpy
import site
import sys
from pathlib import Path

import stand_ins

stand_ins.prepare(Path(site.getsitepackages()[0]))
sys.argv = sys.argv[1:]
sys.path.insert(0, str(Path(sys.argv[0]).parent))
runpy.run_path(sys.argv[0], run_name="__main__")
