"""The demo: an application that sends email, two emulated vendors, and what the connector does in between."""
