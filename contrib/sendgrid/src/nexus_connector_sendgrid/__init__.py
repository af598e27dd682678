"""Sends email through SendGrid."""
