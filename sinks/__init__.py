"""Topics to tables: runs the stream objects that REST creates. See sinks/README.md."""
