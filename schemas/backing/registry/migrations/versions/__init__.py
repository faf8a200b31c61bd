"""The migrations, oldest first by their number; a released one never changes."""
