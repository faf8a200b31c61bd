"""The test stack: broker, PostgreSQL, `hookberg up`, polling. Import from its modules; fixtures are in fixtures.py."""
