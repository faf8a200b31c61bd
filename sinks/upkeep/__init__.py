"""A table kept small and healthy by the process that writes it. See README.md here."""
