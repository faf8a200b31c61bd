"""What each vendor's own library says to a request: run as a process of its own, imported by nothing.

Lives here: one function for each library, called as its documents say. Not here: our verdict, or why the two may differ
(deviations.py). Usage: `judges.py FOLDER < cases > verdicts`; FOLDER comes first on the path, so that the libraries and
what they import never meet ours. https://docs.python.org/3/using/cmdline.html#cmdoption-I
"""

import base64
import importlib
import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

ACCEPTS, REFUSES = "accepts", "refuses"


@dataclass(frozen=True)
class Request:
    """One request; `headers` hold the first of each name, by its lower-case name."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """Return the body as the text that most libraries want."""
        return self.body.decode("utf-8")


Judge = Callable[[Request, str], bool]


class Form:
    """A form's fields, several of a name, read as web frameworks hand them over."""

    def __init__(self, body: str) -> None:
        self.pairs = parse_qsl(body, keep_blank_values=True)

    def __iter__(self) -> Any:
        return iter([name for name, _ in self.pairs])

    def getlist(self, name: str) -> list[str]:
        """Return the values of a name."""
        return [value for given, value in self.pairs if given == name]


def adyen() -> Judge:
    valid = library("Adyen.util").is_valid_hmac_notification
    return lambda request, secret: valid(json.loads(request.body), secret)


def adyen_platform() -> Judge:
    valid = library("Adyen.util").is_valid_hmac_payload
    return lambda request, secret: valid(request.headers["hmacsignature"], secret, request.body)


def discord() -> Judge:
    valid = library("discord_interactions").verify_key

    def judge(request: Request, secret: str) -> bool:
        named = (request.headers[f"x-signature-{name}"] for name in ("ed25519", "timestamp"))
        with redirect_stdout(io.StringIO()):  # it prints why
            return bool(valid(request.body, *named, secret))

    return judge


def gidgethub(header: str) -> Callable[[], Judge]:
    def load() -> Judge:
        made = library("gidgethub.sansio")
        failure = library("gidgethub").ValidationFailure

        def judge(request: Request, secret: str) -> bool:
            try:
                made.validate_event(request.body, signature=request.headers[header], secret=secret)
            except failure:
                return False
            return True

        return judge

    return load


def hubspot() -> Judge:
    valid = library("hubspot.utils.signature").Signature.is_valid
    errors = library("hubspot.exceptions")

    def judge(request: Request, secret: str) -> bool:
        third = "x-hubspot-signature-v3" in request.headers
        if not third and not {"x-hubspot-signature", "x-hubspot-signature-version"} <= set(request.headers):
            return False
        try:
            return bool(
                valid(
                    signature=request.headers["x-hubspot-signature" + "-v3" * third],
                    client_secret=secret,
                    request_body=request.text,
                    http_uri=request.url,
                    http_method=request.method,
                    signature_version="v3" if third else request.headers["x-hubspot-signature-version"],
                    timestamp=request.headers.get("x-hubspot-request-timestamp"),
                )
            )
        except (errors.InvalidSignatureTimestampError, errors.InvalidSignatureVersionError):
            return False

    return judge


def paddle() -> Judge:
    verifier = library("paddle_billing.Notifications.Verifier").Verifier()
    named = library("paddle_billing.Notifications.Secret").Secret

    def judge(request: Request, secret: str) -> bool:
        headers = {"Paddle-Signature": request.headers["paddle-signature"]}
        return bool(verifier.verify(SimpleNamespace(headers=headers, body=request.body), named(secret)))

    return judge


def pywa() -> Judge:
    valid = library("pywa.utils").webhook_updates_validator
    return lambda request, secret: valid(secret, request.body, request.headers["x-hub-signature-256"])


def sendgrid() -> Judge:
    made = library("sendgrid.helpers.eventwebhook").EventWebhook
    names = [f"x-twilio-email-event-webhook-{name}" for name in ("signature", "timestamp")]
    return lambda request, secret: made(secret).verify_signature(request.text, *map(request.headers.__getitem__, names))


def slack() -> Judge:
    made = library("slack_sdk.signature").SignatureVerifier
    return lambda request, secret: made(secret).is_valid_request(request.body, request.headers)


def square() -> Judge:
    valid = library("square.utils.webhooks_helper").verify_signature
    return lambda request, secret: valid(
        request_body=request.text,
        signature_header=request.headers["x-square-hmacsha256-signature"],
        signature_key=secret,
        notification_url=request.url,
    )


def standard(module: str, **options: bool) -> Callable[[], Judge]:
    def load() -> Judge:
        made, errors = library(module).Webhook, library("standardwebhooks.webhooks")
        failures = (library("standardwebhooks").WebhookVerificationError, errors.EmptyWebhookSecretError)

        def judge(request: Request, secret: str) -> bool:
            try:
                made(secret).verify(request.body, request.headers, **options)
            except failures:
                return False
            return True

        return judge

    return load


def stripe() -> Judge:
    made = library("stripe")

    def judge(request: Request, secret: str) -> bool:
        try:
            made.WebhookSignature.verify_header(request.body, request.headers["stripe-signature"], secret, 300)
        except made.SignatureVerificationError:
            return False
        return True

    return judge


def twilio() -> Judge:
    made = library("twilio.request_validator")

    def judge(request: Request, secret: str) -> bool:
        form = request.headers.get("content-type") == "application/x-www-form-urlencoded"
        fields = Form(request.text) if form else request.text
        algorithm = made.get_signature_algorithm(request.headers.get(made.SIGNATURE_SETTINGS_HEADER.lower()))
        validator = made.RequestValidator(secret)
        return bool(validator.validate(request.url, fields, request.headers["x-twilio-signature"], algorithm))

    return judge


JUDGES: dict[str, tuple[Callable[[], Judge], tuple[str, ...]]] = {
    "adyen": (adyen, ()),
    "adyen-platform": (adyen_platform, ("hmacsignature",)),
    "discord": (discord, ("x-signature-ed25519", "x-signature-timestamp")),
    "gidgethub-256": (gidgethub("x-hub-signature-256"), ("x-hub-signature-256",)),
    "gidgethub": (gidgethub("x-hub-signature"), ("x-hub-signature",)),
    "hubspot": (hubspot, ()),
    "paddle": (paddle, ("paddle-signature",)),
    "pywa": (pywa, ("x-hub-signature-256",)),
    "sendgrid": (sendgrid, tuple(f"x-twilio-email-event-webhook-{name}" for name in ("signature", "timestamp"))),
    "slack": (slack, ()),
    "square": (square, ("x-square-hmacsha256-signature",)),
    "standardwebhooks": (standard("standardwebhooks", json_parse=False), ()),
    "stripe": (stripe, ("stripe-signature",)),
    "svix": (standard("svix.webhooks"), ()),
    "twilio": (twilio, ("x-twilio-signature",)),
}
"""How each is called, and the headers that a receiver must have before it can call it (none: the library looks)."""


def library(name: str) -> Any:
    return importlib.import_module(name)


def one(judge: Judge, request: Request, secret: str) -> str:
    """Return what it says; a library that ends in another error than its own refusal says the error's name."""
    try:
        return ACCEPTS if judge(request, secret) else REFUSES
    except Exception as exc:  # noqa: BLE001 whatever it raises is what is recorded
        return f"raises {type(exc).__name__}"


def verdict(judge: Judge, wanted: tuple[str, ...], case: dict[str, Any]) -> str:
    """Judge by each secret as a receiver with several does: the first that is accepted counts, else the last word."""
    headers: dict[str, str] = {}
    for name, value in case["headers"]:
        headers.setdefault(name.lower(), value)
    if not headers.keys() >= set(wanted):
        return REFUSES
    request = Request(case["method"], case["url"], headers, base64.b64decode(case["body"]))
    said = [one(judge, request, secret) for secret in case["secrets"]]
    return ACCEPTS if ACCEPTS in said else max(said, key=lambda word: word != REFUSES, default=REFUSES)


def main() -> None:
    """Read `{"judge": name, "cases": [...]}`, write a list of words."""
    sys.path.insert(0, sys.argv[1])
    asked = json.load(sys.stdin)
    load, wanted = JUDGES[asked["judge"]]
    judge = load()
    travel = library("time_machine").travel
    said = []
    for case in asked["cases"]:
        with travel(case["now"], tick=False):
            said.append(verdict(judge, wanted, case))
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
