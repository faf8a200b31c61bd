"""What outbound webhooks cost: a real `hookberg notify`, a fast receiver beside it, and a bare client as the floor."""
