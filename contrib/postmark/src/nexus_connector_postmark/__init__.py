"""Sends email through Postmark."""
