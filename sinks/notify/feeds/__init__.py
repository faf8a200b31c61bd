"""Where entity events come from, and the way into the queue. The tables of what becomes an event: README.md here."""
