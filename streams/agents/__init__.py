"""The agents of the stage: decorators and sentences; what they call is pure or the engine's."""
