"""One file a resource: its routes and their handlers. Handlers take a Call and return an Answer."""
