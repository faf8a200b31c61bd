"""What a debugger, a log or a failing assertion prints of our values holds no secret."""

from ingress import resolve, routes
from ingress.refusals import Refusal
from schemas.definitions.auth_any import KINDS
from schemas.definitions.source import SourceDefinition
from schemas.settings.processes import ApiSettings
from schemas.signing import SignedRequest
from tests.fakes.edge import Edge, arrival
from tests.fakes.registry import key, snapshot, source

SECRET = "s3cret-of-the-test"
SOURCE = source("github", secrets=(SECRET.encode(),))
HEADERS = {"Authorization": f"Bearer hbk_{SECRET}", "X-Tenant-Id": "acme", "X-Api-Key": SECRET}


def held(text: str) -> bool:
    return SECRET in text or SECRET.encode().hex() in text


async def test_a_requests_values_show_no_secret() -> None:
    edge = Edge(snapshot([SOURCE], keys={f"hbk_{SECRET}": key()}, urls={SECRET: (SOURCE.id, "url-1")}))
    came = arrival("/api/v1/webhooks/github", SECRET.encode(), HEADERS)
    route = routes.find(came.path)
    assert route is not None
    target = await resolve.find(route, came, edge.env)
    by_url = routes.find(f"/in/{SECRET}")
    assert by_url is not None
    request = SignedRequest("POST", "https://hooks.example/", came.headers.pairs, SECRET.encode())
    refusal = Refusal(SOURCE, "r", 401, "d", "POST", target.path, "", came.headers.pairs, 1, request)
    for value in (
        came,
        came.headers,
        route,
        target,
        by_url,
        edge.now,
        edge.env.rates,
        SOURCE,
        refusal,
        edge.env.limits,
    ):
        assert not held(repr(value)), type(value)


def test_definitions_and_settings_show_no_secret() -> None:
    more = {"hmac": {"header": "X-Sig"}, "basic": {"username": "acme"}, "apiKey": {"header": "X-Key"}}
    for kind in ("github", "stripe", *(name for name in KINDS if name in {"hmac", "bearer", "basic", "apiKey"})):
        auth = {"type": kind, "secrets": [SECRET], **more.get(kind, {})}
        made = SourceDefinition.model_validate({"platform": "shop", "auth": auth})
        assert not held(repr(made) + str(made) + repr(made.auth)), kind
    url = f"postgresql+psycopg://hookberg:{SECRET}@db/registry"
    settings = ApiSettings(kafka_bootstrap_servers="b:1", registry_url=url, kafka_sasl_password=SECRET)
    assert not held(repr(settings) + str(settings))
