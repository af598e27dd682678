"""The benchmarks: ``python tests/benchmarks/run.py --help``, or ``nox -s bench``."""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
runpy.run_module("benchmarks", run_name="__main__", alter_sys=True)
