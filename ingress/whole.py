"""A request that came whole and alone in one piece, read by llhttp without aiohttp's objects around it.

Lives here: which pieces are such requests, and what is read of one. aiohttp's parser makes a message, a multidict and
a URL of each request, a quarter of what a small delivery costs; here llhttp (httptools) writes the headers into a dict.
Whatever is not plainly one complete POST, with a row of names that aiohttp has read before, a length, and nothing that
changes framing or connection, is left to aiohttp untouched: each request is read by one parser. Who takes a request
from here has to know its path and query from one that aiohttp has read. https://www.rfc-editor.org/rfc/rfc9112#section-6
"""

import httptools

from ingress import headers
from ingress.headers import Headers

MAX_HEAD = 8_190
"""aiohttp's bound of one line; a head past it is its to judge."""
_START = b"POST /"
_END = b"\r\n\r\n"
_VERSION = b" HTTP/1.1\r\n"
_TARGET = len("POST ")
_LINE = len("POST  HTTP/1.1")
_AROUND = len("\r\n: ")


Whole = tuple[str, str, Headers, bytes]
"""One request: path and query as on the request line, its headers, its body."""


class WholeReader:
    """Reads the pieces of one connection. llhttp keeps its state between requests; after an odd one it begins anew."""

    __slots__ = ("_fields", "_parser", "_targets", "on_header", "on_url")

    def __init__(self) -> None:
        self._fields: dict[bytes, bytes] = {}
        self._targets: list[bytes] = []
        self.on_header = self._fields.__setitem__  # called by llhttp for each header: no frame of ours
        self.on_url = self._targets.append
        self._parser = httptools.HttpRequestParser(self)

    def read(self, piece: bytes) -> Whole | None:
        """Return the request that `piece` is, None when it is anything else."""
        end = piece.find(_END, 0, MAX_HEAD)
        if end < 0 or not piece.startswith(_START):
            return None
        try:
            self._parser.feed_data(piece)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            found = None
        else:
            found = self._plain(piece, end)
        self._fields.clear()
        self._targets.clear()
        if found is None:
            self._parser = httptools.HttpRequestParser(self)
        return found

    def _plain(self, piece: bytes, end: int) -> Whole | None:
        fields, targets = self._fields, self._targets
        names = headers.known(tuple(fields))
        if names is None or not names.plain or len(targets) != 1:  # or the next request has begun in it
            return None
        target = targets[0]
        read = headers.of(names, tuple(fields.values()))
        by_name = read.by_name
        start = end + len(_END)
        if (
            _LINE + len(target) + read.size + _AROUND * len(fields) != end  # a header that came twice, a strange space
            or piece.find(b" \r\n", 0, start) >= 0
            or piece.find(b"\t\r\n", 0, start) >= 0  # which aiohttp takes off the value
            or not piece.startswith(_VERSION, _TARGET + len(target))
            or not target.isascii()
            or by_name["content-length"] != str(len(piece) - start)  # llhttp has the end of it here too
            or by_name.get("connection", "keep-alive").lower() != "keep-alive"
        ):
            return None
        path, _, query = target.decode("ascii").partition("?")
        return path, query, read, piece[start:]
