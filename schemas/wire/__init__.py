"""What crosses a topic or the outbox: one record a file, final formats, golden files in avro/.

A change here is a commit of its own with its golden files. Nothing here reads a clock or a socket.
"""
