"""What all tests of this repository have in common, the members' too: no example of hypothesis is timed."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
