"""``python -m nexus_connector_cli``: the same as ``nexus``."""

from . import main

main()
