"""Vendors as data: one file each, one line each in `VENDORS`. The shapes are in base.py."""
