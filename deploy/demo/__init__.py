"""`hookberg demo`: a few hundred signed events of two vendors, and what became of each."""
