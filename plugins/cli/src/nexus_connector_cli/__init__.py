"""The `nexus` command: look at, check and try the connector of an application."""

from ._plugin import plugin

__all__ = ["main", "plugin"]


def main() -> None:
    """Run ``nexus``."""
    from ._group import main as run  # here: a connector at work loads this package for its plugin, not for its commands

    run()
