"""Requests as vendors and their receivers' surroundings really make them: more forms than the kit's cases have.

Lives here: cases that are judged by the libraries and by us alike; no verdict of our own is written down for them
(the kit's are in cases.py). What the two say differently is in deviations.py like the rest.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace

from tests.contract.vendors.cases import Case
from tests.contract.vendors.roster import ITEM
from tests.contract.vendors.senders import NOW, Draft, Sender, Sent, encoded, mac, placed, send, signature

_FORMS = {
    "form-repeats-a-pair": b"a=1&a=1&b=2",
    "form-repeats-a-name": b"MediaUrl=2&MediaUrl=1&MediaUrl=10&A=x",
    "form-without-values": b"a&b=&c",
    "form-of-odd-escapes": b"a=%zz&b=%e2%98%95&c=%2&d=1+1%2B1",
    "form-of-names-in-both-cases": b"b=1&B=2&a=3&A=4&_=5",
    "form-with-empty-parts": b"&a=1&&b=2&",
    "form-with-semicolons": b"a=1;b=2&c=3",
    "form-of-an-equals-sign": b"=1&a==2",
}
_URLS = {
    "url-of-a-name-and-password": "https://user:pass@hooks.example.com/in/t?a=1",
    "url-in-capitals": "HTTPS://Hooks.Example.COM/in/t?a=1",
    "url-with-a-fragment": "https://hooks.example.com/in/t?a=1#part",
    "url-with-escapes": "https://hooks.example.com/in/caf%C3%A9%20%2F%3a?q=%40%2C+%21",
    "url-without-a-path": "https://hooks.example.com",
    "url-with-an-empty-query": "https://hooks.example.com/in/t?",
    "url-not-ascii": "https://hooks.example.com/in/caf\u00e9?\u2615",
    "url-of-plain-http": "http://hooks.example.com/in/t",
    "url-with-a-port": "https://hooks.example.com:8443/in/t?a=1",
    "url-with-the-other-port": "https://hooks.example.com:80/in/t",
}
_ITEMS: dict[str, dict[str, object]] = {
    "item-with-an-original-reference": {"originalReference": "99:1\\"},
    "item-with-a-null-reference": {"originalReference": None},
    "item-without-a-reference": {"merchantReference": ""},
    "item-of-a-boolean": {"success": True},
    "item-of-a-number": {"pspReference": 7914073381342284},
    "item-of-a-decimal": {"amount": {"currency": "EUR", "value": 11.3}},
    "item-of-a-text-amount": {"amount": {"currency": "EUR", "value": "1130"}},
}


def of(sender: Sender) -> Iterator[Case]:
    """Yield the variants of one sender."""
    for part in (_spelled, _several, _clocks, _forms, _urls, _items):
        yield from part(sender)


def _case(sender: Sender, name: str, sent: Sent, **other: object) -> Case:
    return replace(Case(name, sender, sent, (sender.secrets[0],), None), **other)  # type: ignore[arg-type]


def _spelled(sender: Sender) -> Iterator[Case]:
    """The right signature in another spelling."""
    sent = send(sender, NOW)
    if sender.place != "header":
        return
    said = signature(sender, sent)
    yield _case(sender, "spaces-before", placed(sender, sent, " " + said))
    yield _case(sender, "spaces-behind", placed(sender, sent, said + " "))
    yield _case(sender, "a-line-behind", placed(sender, sent, said + "\n"))
    yield _case(sender, "in-capitals", placed(sender, sent, said.upper()))
    if sender.encoding == "hex":
        digits = said[-40:]
        yield _case(sender, "digits-in-capitals", placed(sender, sent, said.replace(digits, digits.upper())))
        yield _case(sender, "a-space-inside", placed(sender, sent, said[:-2] + " " + said[-2:]))
    if sender.encoding == "base64":
        yield _case(sender, "without-padding", placed(sender, sent, said.rstrip("=")))
        yield _case(sender, "other-alphabet", placed(sender, sent, said.replace("+", "-").replace("/", "_")))
        yield _case(sender, "a-space-inside", placed(sender, sent, said[:-8] + " " + said[-8:]))
        tail = said.rstrip("=")
        loose = tail[:-1] + chr(ord(tail[-1]) + 1) + said[len(tail) :]
        yield _case(sender, "loose-last-bits", placed(sender, sent, loose))


def _several(sender: Sender) -> Iterator[Case]:
    """Several signatures in a header that may hold them: rotation, a later version beside, parameters in any order."""
    if sender.vendor in {"stripe", "paddle"}:
        yield from _pairs(sender)
    if not sender.scheme.startswith(("svix", "standardwebhooks", "gitlab-signing")):
        return
    sent = send(sender, NOW)
    said = signature(sender, sent)
    other = sender.frame(encoded(sender, sender.seal(sender.secrets[1], b"other")), "")
    lists = {
        "right-one-last": f"{other} {said}",
        "right-one-first": f"{said} {other}",
        "later-version-beside": f"v2,AAAA {said}",
        "v1a-beside": f"v1a,{base64.b64encode(bytes(64)).decode()} {said}",
        "two-spaces": f"{other}  {said}",
        "commas-between": f"{other},{said}",
        "version-in-capitals": said.replace("v1,", "V1,"),
        "version-twice": "v1," + said,
        "no-version": said.removeprefix("v1,"),
    }
    for name, text in lists.items():
        yield _case(sender, name, placed(sender, sent, text))
    secret = sender.secrets[0]
    yield _case(sender, "secret-without-its-prefix", sent, secrets=(secret.removeprefix("whsec_"),))
    yield _case(sender, "secret-without-padding", sent, secrets=(secret.rstrip("="),))
    yield _case(sender, "secret-with-spaces", sent, secrets=(f" {secret} ",))
    yield _case(sender, "secret-of-its-prefix", sent, secrets=("whsec_",))
    without = tuple(pair for pair in sent.headers if not pair[0].endswith("-id"))
    yield _case(sender, "id-missing", replace(sent, headers=without))
    yield _case(sender, "id-empty", replace(sent, headers=(*without, (sender.extra[0][0], ""))))


def _pairs(sender: Sender) -> Iterator[Case]:
    sent = send(sender, NOW)
    pairs = dict(pair.split("=") for pair in signature(sender, sent).replace(";", ",").split(","))
    mark, stamp, tag = (",", "t", "v1") if sender.vendor == "stripe" else (";", "ts", "h1")
    time, right, wrong = f"{stamp}={pairs[stamp]}", f"{tag}={pairs[tag]}", f"{tag}={'0' * 64}"
    lists = {
        "right-one-last": (time, wrong, right),
        "right-one-first": (time, right, wrong),
        "time-last": (right, time),
        "time-twice": (time, f"{stamp}={NOW + 1}", right),
        "time-twice-other-first": (f"{stamp}={NOW + 1}", time, right),
        "time-missing": (right,),
        "time-empty": (f"{stamp}=", right),
        "time-odd": (f"{stamp}=soon", right),
        "time-with-spaces": (f"{stamp}= {NOW}", right),
        "time-with-zeros": (f"{stamp}=0{NOW}", right),
        "time-with-a-sign": (f"{stamp}=+{NOW}", right),
        "spaces-between": (time, " " + right),
        "spaces-around-the-mark": (time, right.replace("=", " = ")),
        "tag-in-capitals": (time, right.upper()),
        "another-tag": (time, f"v0={pairs[tag]}"),
    }
    for name, parts in lists.items():
        yield _case(sender, name, placed(sender, sent, mark.join(parts)))


def _clocks(sender: Sender) -> Iterator[Case]:
    """Times that are rightly signed and written otherwise."""
    if not sender.time_header:
        return
    for name, text in (
        ("clock-with-spaces", f" {sender.stamp(NOW)} "),
        ("clock-with-zeros", f"0{sender.stamp(NOW)}"),
        ("clock-with-a-sign", f"+{sender.stamp(NOW)}"),
        ("clock-with-a-fraction", f"{sender.stamp(NOW)}.0"),
        ("clock-with-underscores", f"{sender.stamp(NOW)[:3]}_{sender.stamp(NOW)[3:]}"),
        ("clock-of-other-digits", sender.stamp(NOW).replace("5", "\u0665")),
        ("clock-not-a-number", "nan"),
    ):
        yield _case(sender, name, send(replace(sender, stamp=lambda _now, text=text: text), NOW))  # type: ignore[misc]


def _forms(sender: Sender) -> Iterator[Case]:
    """Forms as senders may write them, for those who sign their fields; bodies bound by a hash."""
    if sender.vendor != "twilio":
        return
    if sender.url.partition("bodySHA256=")[2]:
        sent = send(sender, NOW)
        digest = hashlib.sha256(sent.body).hexdigest()
        for name, query in (
            ("hash-in-capitals", f"bodySHA256={digest.upper()}"),
            ("hash-twice", f"bodySHA256={digest}&bodySHA256={'0' * 64}"),
            ("hash-second", f"bodySHA256={'0' * 64}&bodySHA256={digest}"),
            ("hash-empty", "bodySHA256="),
            ("hash-of-another-body", f"bodySHA256={'0' * 64}"),
        ):
            url = "https://hooks.example.com/in/t?" + query
            yield _case(sender, name, send(replace(sender, url=url), NOW))
        return
    for name, body in _FORMS.items():
        yield _case(sender, name, send(sender, NOW, body=body))
    sent = send(sender, NOW)
    yield _case(sender, "form-in-another-order", replace(sent, body=b"&".join(sent.body.split(b"&")[::-1])))
    yield _case(sender, "form-with-a-field-more", replace(sent, body=sent.body + b"&More=1"))
    settings = ("X-Twilio-Webhooks-Signature-Settings", "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256")
    shared = replace(sender, extra=(*sender.extra, settings), seal=mac("sha256"))
    yield _case(sender, "signed-with-a-shared-key", send(shared, NOW))
    yield _case(sender, "shared-key-signed-with-sha1", send(replace(shared, seal=sender.seal), NOW))


def _urls(sender: Sender) -> Iterator[Case]:
    """URLs of many forms, signed as they are received."""
    if sender.scheme not in {"twilio", "square", "hubspot", "hubspot-v2"} or "bodySHA256" in sender.url:
        return
    for name, url in _URLS.items():
        yield _case(sender, name, send(replace(sender, url=url), NOW))
    if sender.scheme == "hubspot":
        escaped = "https://hooks.example.com/in/t?to=%2Fa%3F&at=%40b"
        undone = replace(sender, url="https://hooks.example.com/in/t?to=/a?&at=@b")
        yield _case(sender, "signed-with-escapes-undone", replace(send(undone, NOW), url=escaped))


def _items(sender: Sender) -> Iterator[Case]:
    """Items with members of other types, signed as their texts."""
    if sender.scheme != "adyen":
        return
    for name, members in _ITEMS.items():
        item = {"NotificationRequestItem": {**ITEM, **members, "additionalData": {}}}
        body = json.dumps({"live": "false", "notificationItems": [item]}).encode()
        yield _case(sender, name, send(replace(sender, message=_fields), NOW, body=body))


def _fields(draft: Draft) -> bytes:
    """Return the fields of an item as Java's texts of them: null is nothing, a boolean is in small letters."""
    item = json.loads(draft.body)
    values = [item.get(name, "") for name in ("pspReference", "originalReference", "merchantAccountCode")]
    values += [item["merchantReference"], item["amount"]["value"], item["amount"]["currency"]]
    values += [item["eventCode"], item["success"]]
    return ":".join("" if one is None else one if isinstance(one, str) else json.dumps(one) for one in values).encode()
