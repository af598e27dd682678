"""The `nexus` command: look at, check and try the connector of an application."""
