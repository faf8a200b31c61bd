"""Outbound webhooks; see README.md."""
