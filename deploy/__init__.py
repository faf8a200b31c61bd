"""How processes are put together; the only room that imports all others. See deploy/README.md."""
