"""What all tests of this repository have in common, the members' too: no example is timed, no program is measured."""

from __future__ import annotations

import os

from hypothesis import settings

# The same examples in every run, so that a failure is the change's; the nightly run throws dice.
settings.register_profile("untimed", deadline=None, derandomize=os.environ.get("NEXUS_LONG") != "1")
settings.load_profile("untimed")

if "PYTEST_XDIST_WORKER" in os.environ:
    # What tests run as programs of their own is not measured: each would take twice as long, for lines that others
    # reach as well; and a child that is forked while a thread holds the tracer's lock would hang.
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    os.environ.pop("COVERAGE_PROCESS_START", None)
