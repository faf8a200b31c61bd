"""The URLs that a sender may have signed, given the one that we believe was called: one or two parts changed.

Lives here: scheme, host, port, trailing slash, escapes, query. Not here: the forms that vendors themselves sign, which
the engine tries anyway (schemas/signing/urls.py). Bounded: MAX_URLS.
"""

import re
from collections.abc import Iterator
from itertools import islice, product
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from ingress.diagnosis.causes import Cause, Finding
from schemas.signing import SignedRequest, template

MAX_URLS = 160
MAX_PARTS = 10
_OTHER = {"http": "https", "https": "http"}
_HOSTS = ("x-forwarded-host", "x-original-host", "host")
_ORIGINAL = ("x-original-uri", "x-original-url", "x-rewrite-url", "x-envoy-original-path", "x-forwarded-uri")
_SLASHES = re.compile("/{2,}")
_SHOWN = 200
_LONGEST = 2_000
_IN = "/in/"


def variants(request: SignedRequest, public_url: str) -> Iterator[str]:
    """Yield other URLs, the smallest changes first."""
    made = dict.fromkeys(islice(_all(request, public_url), MAX_URLS))
    made.pop(request.url, None)
    yield from made


def finding(ours: str, signed: str) -> Finding:
    """Say what differs between the URL that we have and the one that was signed."""
    try:
        told = _differences(ours, signed)
    except ValueError:
        told = "it cannot be compared part by part"
    detail = (
        f"the sender signed another address, {shown(signed)} ({told}): set public_ingest_url to the address that the "
        "sender calls, or type the source's URL into the sender's settings exactly as it is"
    )
    return Finding(Cause.URL_MISMATCH, detail, certain=True)


def shown(url: str) -> str:
    """Return a URL fit for an answer: no secret token, bounded."""
    head, mark, tail = url.partition(_IN)
    if mark:
        url = f"{head}{_IN}***" + (f"?{tail.partition('?')[2]}" if "?" in tail else "")
    return url if len(url) <= _SHOWN else url[:_SHOWN] + "…"


def _all(request: SignedRequest, public_url: str) -> Iterator[str]:
    try:
        parts = urlsplit(request.url)
        places, paths = _places(request, public_url, parts.netloc), _paths(request, parts.path)
        queries = _queries(parts.query)
    except ValueError:
        return
    schemes = [parts.scheme or "https", _OTHER.get(parts.scheme, "http")]
    combined = product(range(len(schemes)), range(len(places)), range(len(paths)), range(len(queries)))
    near = sorted(combined, key=lambda at: (sum(1 for index in at if index), at))
    for scheme, place, path, query in near:
        yield f"{schemes[scheme]}://{places[place]}{paths[path]}" + (f"?{queries[query]}" if queries[query] else "")


def _places(request: SignedRequest, public_url: str, netloc: str) -> list[str]:
    public = urlsplit(public_url).netloc
    said = [(template.header(request, name) or "").split(",")[0].strip() for name in _HOSTS]
    found: dict[str, None] = {netloc: None}
    for place in (netloc, public, *said):
        if not place or len(place) > _SHOWN:
            continue
        host, mark, port = place.rpartition(":")
        bare = host if mark and port.isdigit() else place
        port = (template.header(request, "x-forwarded-port") or "").strip()
        ports = [*([port] if port.isdigit() else []), "443", "80", "8443", "8080"]
        for one in (place, bare, bare.lower(), *(f"{bare}:{number}" for number in ports)):
            found.setdefault(one)
    return list(found)


def _paths(request: SignedRequest, path: str) -> list[str]:
    bare = path.rstrip("/")
    found = [path, bare or "/", f"{bare}/", _SLASHES.sub("/", path), unquote(path), quote(unquote(path)), path.lower()]
    prefix = (template.header(request, "x-forwarded-prefix") or "").rstrip("/")
    found += [prefix + path] if prefix.startswith("/") and len(prefix) <= _SHOWN else []
    originals = (template.header(request, name) or "" for name in _ORIGINAL)
    found += [text.partition("?")[0] for text in originals if text.startswith("/") and len(text) <= _LONGEST]
    return list(dict.fromkeys(found))


def _queries(query: str) -> list[str]:
    if not query:
        return [""]
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        pairs = []
    made = [urlencode(pairs), urlencode(pairs, quote_via=quote), urlencode(sorted(pairs)), unquote(query)]
    parts = query.split("&")[:MAX_PARTS]
    made += ["&".join(parts[:at] + parts[at + 1 :]) for at in range(len(parts))]  # one that was added on the way
    return list(dict.fromkeys([query, "", *(text for text in made if text)]))


def _differences(ours: str, signed: str) -> str:
    a, b = urlsplit(ours), urlsplit(signed)
    parts = (
        ("scheme", a.scheme, b.scheme),
        ("host", a.hostname, b.hostname),
        ("port", _port(a.netloc), _port(b.netloc)),
        ("path", a.path, b.path),
        ("query", a.query, b.query),
    )
    differ = [(name, left, right) for name, left, right in parts if left != right]
    return "; ".join(
        f"{name}: we have {left or 'none'}, the sender signed {right or 'none'}"
        if name in {"scheme", "host", "port"}
        else f"the {name} differs"
        + (" in its trailing slash" if str(left).rstrip("/") == str(right).rstrip("/") else "")
        for name, left, right in differ
    )


def _port(netloc: str) -> str:
    _, mark, port = netloc.rpartition(":")
    return port if mark and port.isdigit() else ""
