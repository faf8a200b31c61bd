"""Repositories: one file an object, each a class whose writes are one transaction with their change row (rule 23)."""
