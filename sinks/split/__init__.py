"""One stream, one table per event type: `splitBy: eventType`. See README.md here."""
