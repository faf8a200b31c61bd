"""Stream processing: raw topics to clean topics (Faust). A stream object, what REST creates, is run by sinks/."""
