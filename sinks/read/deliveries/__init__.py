"""The way of an event, for the API: implements `schemas.ports.DeliveryReader` from topics and tables.

Lives here: reading what became of a delivery. May not live here: writing; HTTP; receipts (ingress/receipt.py).
"""

from sinks.read.deliveries.reader import Deliveries

__all__ = ["Deliveries"]
