"""The topics of a source: made when it is made, opened when every partition has a leader; pausing acts on the topic."""

from dataclasses import replace

from ingress.api.call import Call
from schemas.backing.growth import grow
from schemas.backing.registry import SourceRecord
from schemas.topics import Kind


async def open_source(call: Call, record: SourceRecord) -> SourceRecord:
    """Make the topics of a source, keep their ids, open its URL; return the source as it is then."""
    return await call.threads.run(_open, call, record)


def _open(call: Call, record: SourceRecord) -> SourceRecord:
    registry = call.env.registry
    for topic in call.env.topics.ensure_source_topics(record):
        paused = record.definition.paused and topic.kind == Kind.WEBHOOK
        registry.topics.put(replace(topic, paused=paused), actor=call.actor)
    grow(registry, call.env.topics, record.tenant, call.actor)
    return registry.sources.set_open(record.tenant, record.id, actor=call.actor)
