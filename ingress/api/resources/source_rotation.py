"""Rotation of what senders prove themselves with: secret URLs and secrets, added first, the old ones removed later."""

from ingress.api.call import Answer, Call
from ingress.api.resources import source_checks, source_wire
from ingress.api.routes import Route
from schemas.definitions.auth import Secret
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.errors import Refused
from schemas.reasons import Reason

_WRITE = Permission.SOURCES_WRITE


class UrlRequest(Definition):
    """What `POST /sources/{id}/urls` takes: nothing."""


class UrlCreated(Definition):
    """A secret URL, shown this once."""

    id: str
    ingest_url: str


class SecretRequest(Definition):
    """What `POST /sources/{id}/secrets` takes: the secret's text, or where the server finds it."""

    secret: Secret


class SecretCreated(Definition):
    """The id of an added secret; its text is never shown."""

    id: str


async def create_url(call: Call) -> Answer:
    """Make a further secret URL of a source."""
    sources = call.env.registry.sources
    record = await call.threads.run(sources.get, call.tenant, call.named("id"))
    url_id, token = await call.threads.run(sources.add_url, call.tenant, record.id, actor=call.actor)
    await call.env.view.refresh()
    return Answer({"id": url_id, "ingestUrl": source_wire.secret_url(call, record, token)}, secret=True)


async def delete_url(call: Call) -> Answer:
    """Revoke a secret URL: 404 within a second everywhere."""
    sources = call.env.registry.sources
    record = await call.threads.run(sources.get, call.tenant, call.named("id"))
    await call.threads.run(sources.revoke_url, call.tenant, record.id, call.named("urlId"), actor=call.actor)
    await call.env.view.refresh()
    return Answer()


async def create_secret(call: Call) -> Answer:
    """Add a secret to a source; both verify until the old one is removed."""
    sources = call.env.registry.sources
    record = await call.threads.run(sources.get, call.tenant, call.named("id"))
    value = await call.threads.run(sources.resolver, call.given(SecretRequest).secret)
    source_checks.check_secret(record.definition.auth, value)
    secret_id = await call.threads.run(sources.add_secret, call.tenant, record.id, value, actor=call.actor)
    await call.env.view.refresh()
    return Answer({"id": secret_id})


async def delete_secret(call: Call) -> Answer:
    """Remove a secret of a source; the last one stays."""
    sources = call.env.registry.sources
    record = await call.threads.run(sources.get, call.tenant, call.named("id"))
    secrets = await call.threads.run(sources.secrets, call.tenant, record.id)
    wanted = call.named("secretId")
    if len(secrets) == 1 and secrets[0].id == wanted:
        raise Refused(Reason.IN_USE, "this is the last secret: without it nothing verifies; add the new one first")
    await call.threads.run(sources.remove_secret, call.tenant, record.id, wanted, actor=call.actor)
    await call.env.view.refresh()
    return Answer()


ROUTES = (
    Route("POST", "/sources/{id}/urls", create_url, "Make a secret URL; at most two live", _WRITE, UrlCreated,
          status=201, takes=UrlRequest, body_optional=True, refusals=(Reason.IN_USE,)),
    Route("DELETE", "/sources/{id}/urls/{urlId}", delete_url, "Revoke a secret URL", _WRITE, None, status=204),
    Route("POST", "/sources/{id}/secrets", create_secret, "Add a secret", _WRITE, SecretCreated, status=201,
          takes=SecretRequest, refusals=(Reason.IN_USE, Reason.UNSUPPORTED), example={"secret": "the next secret"}),
    Route("DELETE", "/sources/{id}/secrets/{secretId}", delete_secret, "Remove a secret", _WRITE, None, status=204,
          refusals=(Reason.IN_USE,)),
)  # fmt: skip
