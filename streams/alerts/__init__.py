"""When something is wrong with a source or a stream, one file a cause: pure; streams/README.md, Alerts."""
