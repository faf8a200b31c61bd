"""Everything that comes in over HTTP. See ingress/README.md."""
