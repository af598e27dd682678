"""``python -m nexus_connector_cli``: the same as ``nexus``."""

from ._group import main

main()
