"""The senders of all vendors: what each signs, how, and where it stands. From the vendors' documents.

Lives here: data. How a sender works: senders.py. A scheme without a line here fails test_kit_is_complete.py.
"""

import base64
import hashlib
import json
from dataclasses import replace

from tests.contract.vendors.senders import (
    BODY,
    ED_RAW,
    OTHER_MACS,
    SPKI,
    WHSEC,
    Draft,
    Sender,
    b64key,
    ec_seal,
    ed_seal,
    form,
    iso,
    mac,
    token,
    wrong_hash,
)  # fmt: skip

TEXTS = ("s3cret of \u00fcs", "another")
HEX = ("44782DEF547AAA06C910C43932B1EB0C", "0011223344556677")
B64 = (base64.b64encode(b"key number one of 32 bytes......").decode(), base64.b64encode(b"number two").decode())
ITEM = {
    "pspReference": "7914073381342284",
    "merchantAccountCode": "Caf\u00e9:Shop",
    "merchantReference": "order/1",
    "amount": {"currency": "EUR", "value": 1130},
    "eventCode": "AUTHORISATION",
    "success": "true",
    "eventDate": "2025-06-15T15:06:40+00:00",
    "additionalData": {},
}
NOTIFICATIONS = {
    "live": "false",
    "notificationItems": [{"NotificationRequestItem": ITEM | {"pspReference": f"{n}"}} for n in (1, 2)],
}
NOTIFICATION = {"subscriptionId": "s-1", "changeType": "created", "resource": "teams/1", "resourceData": {"id": "3"}}
SEGMENT_ITEMS = ('{"type":"track","event":"Caf\u00e9","messageId":"m-1"}', '{"type":"identify","messageId":"m-2"}')
FORM = b"Body=caf%C3%A9+%E2%98%95&MessageSid=SM1&MessageStatus=delivered&From=%2B1415&AccountSid=AC1&Blank="
FORM_TYPE = (("Content-Type", "application/x-www-form-urlencoded"),)


def whole(draft: Draft) -> bytes:
    """Sign the body."""
    return draft.body


def timed(draft: Draft) -> bytes:
    """Sign time and body."""
    return draft.time.encode() + draft.body


def plain(vendor: str, header: str, prefix: str = "", **other: object) -> Sender:
    """Return a sender of a MAC over the body alone."""
    base = Sender(
        vendor, vendor, TEXTS, whole, mac("sha256"), header,
        frame=lambda signature, _time: prefix + signature, confused=OTHER_MACS,
    )  # fmt: skip
    return replace(base, **other)  # type: ignore[arg-type]


def standard(vendor: str, scheme: str, prefix: str) -> tuple[Sender, Sender]:
    """Return Standard Webhooks' two senders."""

    def message(draft: Draft) -> bytes:
        return f"{draft.headers[f'{prefix}-id']}.{draft.time}.".encode() + draft.body

    v1 = Sender(
        vendor, scheme, WHSEC, message, mac("sha256", b64key), f"{prefix}-signature", "base64",
        frame=lambda signature, _time: f"v1,{signature}", time_header=f"{prefix}-timestamp", tolerance=(300, 300),
        extra=((f"{prefix}-id", "msg_1"),),
        confused={"utf8-key": mac("sha256"), "sha1": mac("sha1", b64key), "ed25519-under-v1": ed_seal},
    )  # fmt: skip
    keys = tuple("whpk_" + base64.b64encode(raw).decode() for raw in ED_RAW)
    v1a = replace(
        v1, scheme=f"{scheme}-v1a", secrets=(keys[0], keys[1]), seal=ed_seal,
        frame=lambda signature, _time: f"v1a,{signature}",
        confused={
            "hmac-by-public-key-text": mac("sha256"),
            "hmac-by-public-key": mac("sha256", lambda secret: base64.b64decode(secret.removeprefix("whpk_"))),
        },
    )  # fmt: skip
    return v1, v1a


def first_of(draft: Draft) -> bytes:
    """Return the text of an array's first item, as Segment signs it."""
    text = draft.body.decode()
    start = text.index("{")
    return text[start : json.JSONDecoder().raw_decode(text, start)[1]].encode()


def concat(secret: str, message: bytes) -> bytes:
    """Return HubSpot's plain hash."""
    return hashlib.sha256(secret.encode() + message).digest()


def adyen_fields(draft: Draft) -> bytes:
    """Return the eight fields of an item."""
    item = json.loads(draft.body)
    amount = item["amount"]
    parts = (
        item["pspReference"], item.get("originalReference", ""), item["merchantAccountCode"], item["merchantReference"],
        str(amount["value"]), amount["currency"], item["eventCode"], item["success"],
    )  # fmt: skip
    return ":".join(parts).encode()


def twilio_json_url() -> str:
    return "https://hooks.example.com/in/t0ken?bodySHA256=" + hashlib.sha256(BODY).hexdigest()


_HUBSPOT = Sender(
    "hubspot", "hubspot", TEXTS, lambda draft: f"POST{draft.url}".encode() + draft.body + draft.time.encode(),
    mac("sha256"), "X-HubSpot-Signature-v3", "base64", stamp=lambda now: str(now * 1000),
    time_header="X-HubSpot-Request-Timestamp", tolerance=(300, 300), confused={**OTHER_MACS, "concat": concat},
)  # fmt: skip
_TWILIO = Sender(
    "twilio", "twilio", TEXTS, form, mac("sha1"), "X-Twilio-Signature", "base64", body=lambda _now: FORM,
    extra=FORM_TYPE, confused={"sha256": mac("sha256"), "md5": mac("md5")},
)  # fmt: skip
_SLACK = Sender(
    "slack", "slack", TEXTS, lambda draft: f"v0:{draft.time}:".encode() + draft.body, mac("sha256"),
    "X-Slack-Signature",
    frame=lambda signature, _time: f"v0={signature}", time_header="X-Slack-Request-Timestamp", tolerance=(300, 300),
    confused=OTHER_MACS,
)  # fmt: skip
_CLOUD = Sender("cloudevents", "cloudevents-bearer", ("t0ken-1", "t0ken-2"), whole, token, "Authorization", "text",
    frame=lambda signature, _time: f"Bearer {signature}", coverage="none",
)  # fmt: skip
_CLOUD_QUERY = replace(_CLOUD, scheme="cloudevents-query", header="access_token", place="query", frame=lambda s, _t: s)

SENDERS: tuple[Sender, ...] = (
    Sender(
        "adyen", "adyen", HEX, adyen_fields, mac("sha256", bytes.fromhex), "", "base64", place="items",
        coverage="partial", confused={"utf8-key": mac("sha256"), "sha1": mac("sha1", bytes.fromhex)}, batch=True,
        body=lambda _now: json.dumps(NOTIFICATIONS).encode(),
    ),
    plain("adyen-platform", "HmacSignature", secrets=HEX, seal=mac("sha256", bytes.fromhex), encoding="base64"),
    plain("bitbucket", "X-Hub-Signature", "sha256="),
    _CLOUD,
    _CLOUD_QUERY,
    Sender(
        "discord", "discord", (ED_RAW[0].hex(), ED_RAW[1].hex()), timed, ed_seal,
        "X-Signature-Ed25519", time_header="X-Signature-Timestamp", tolerance=(300, 300),
        confused={"hmac-by-public-key": mac("sha256", bytes.fromhex), "hmac-by-its-text": mac("sha512")},
    ),
    replace(_CLOUD, vendor="eventgrid"),
    replace(_CLOUD_QUERY, vendor="eventgrid"),
    plain("github", "X-Hub-Signature-256", "sha256="),
    Sender("gitlab", "gitlab", TEXTS, whole, token, "X-Gitlab-Token", "text", coverage="none"),
    standard("gitlab", "gitlab-signing", "webhook")[0],
    _HUBSPOT,
    *(
        replace(
            _HUBSPOT, scheme=f"hubspot-{version}", seal=concat, message=message, header="X-HubSpot-Signature",
            encoding="hex", time_header="", tolerance=None, extra=(("X-HubSpot-Signature-Version", version),),
            confused={"hmac": mac("sha256"), "sha1": mac("sha1")},
        )
        for version, message in (("v1", whole), ("v2", lambda draft: f"POST{draft.url}".encode() + draft.body))
    ),
    plain("intercom", "X-Hub-Signature", "sha1=", seal=mac("sha1"), confused={"sha256": mac("sha256")}),
    plain("jira", "X-Hub-Signature", "sha256="),
    plain(
        "linear", "Linear-Signature", tolerance=(60, 60),
        body=lambda now: json.dumps({"webhookTimestamp": now * 1000, "name": "caf\u00e9"}, indent=1).encode(),
    ),
    plain("meta", "X-Hub-Signature-256", "sha256="),
    Sender(
        "msgraph", "msgraph", ("client-state-1", "client-state-2"), whole, token, "", "text", place="items",
        coverage="none", body=lambda _now: json.dumps({"value": [NOTIFICATION, NOTIFICATION]}).encode(), batch=True,
    ),
    plain("openmetadata", "X-OM-Signature", "sha256=", encoding="base64"),
    Sender(
        "paddle", "paddle", TEXTS, lambda draft: f"{draft.time}:".encode() + draft.body, mac("sha256"),
        "Paddle-Signature",
        frame=lambda signature, time: f"ts={time};h1={signature}", tolerance=(5, 5), confused=OTHER_MACS,
    ),
    plain("pagerduty", "X-PagerDuty-Signature", "v1="),
    plain("segment", "X-Signature", seal=mac("sha1"), confused={"sha256": mac("sha256")}),
    plain(
        "segment", "X-Signature", seal=mac("sha1"), confused={"sha256": mac("sha256")}, batch=True, coverage="partial",
        message=first_of, body=lambda _now: f"[{', '.join(SEGMENT_ITEMS)}]".encode(),
    ),
    Sender(
        "sendgrid", "sendgrid", (SPKI[0], SPKI[1]), timed, ec_seal,
        "X-Twilio-Email-Event-Webhook-Signature", "base64", time_header="X-Twilio-Email-Event-Webhook-Timestamp",
        tolerance=(300, 300), body=lambda _now: b'[{"event": "open","n": 1.50,"name":"caf\\u00e9"}]\r\n',
        confused={"hmac-by-public-key": mac("sha256"), "sha384": wrong_hash, "ed25519": ed_seal},
    ),
    plain("shopify", "X-Shopify-Hmac-Sha256", encoding="base64"),
    _SLACK,
    plain("square", "x-square-hmacsha256-signature", encoding="base64", message=lambda d: d.url.encode() + d.body),
    *standard("standardwebhooks", "standardwebhooks", "webhook"),
    Sender(
        "stripe", "stripe", ("whsec_one", "whsec_two"), lambda draft: f"{draft.time}.".encode() + draft.body,
        mac("sha256"), "Stripe-Signature", frame=lambda signature, time: f"t={time},v0=00,v1={signature}",
        tolerance=(300, 300), confused=OTHER_MACS,
    ),
    *standard("svix", "svix", "svix"),
    *standard("svix", "svix-webhook", "webhook"),
    plain(
        "teams-outgoing", "Authorization", "HMAC ", encoding="base64", secrets=B64, seal=mac("sha256", b64key),
        confused={"utf8-key": mac("sha256")},
    ),
    _TWILIO,
    replace(
        _TWILIO, url=twilio_json_url(), body=lambda _now: BODY, message=lambda draft: draft.url.encode(),
        extra=(("Content-Type", "application/json"),), batch=False, scheme="twilio",
    ),
    plain("whatsapp", "X-Hub-Signature-256", "sha256=", scheme="meta"),
    Sender(
        "zendesk", "zendesk", TEXTS, timed, mac("sha256"),
        "X-Zendesk-Webhook-Signature", "base64", stamp=iso, time_header="X-Zendesk-Webhook-Signature-Timestamp",
        tolerance=(300, 300), confused=OTHER_MACS,
    ),
)  # fmt: skip
"""Every way of every vendor."""
