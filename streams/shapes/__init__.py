"""A body -> its items, by the shape that its content type names or its source sets. The only error is `Poison`.

Lives here: the order: inflate, tell the shape, read it, split it. One file a shape beside this one; what becomes of
every odd body: README.md. Pure: no Kafka, no disk, no clock. Spec section 7, parse.
"""
