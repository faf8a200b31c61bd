"""A TCP proxy before a server that can be away or hang, and that can lose the answer to what was carried out.

Lives here: bytes between two sockets. Which request's answer is lost is told by a text in what the client sends, as it
stands a COMMIT of PostgreSQL (https://www.postgresql.org/docs/current/protocol-flow.html).
"""

import contextlib
import socket
import threading
from typing import Self

_CHUNK = 1 << 16


class Proxy:
    """Listens on a free loopback port for `target`; a thread a direction."""

    def __init__(self, target: int, text: bytes = b"COMMIT") -> None:
        self._target, self._text = target, text
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._away, self._lose = False, 0
        self._flowing = threading.Event()
        self._flowing.set()
        self.lost = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True, name=f"proxy-{self.port}").start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._flowing.set()
        self.away(True)

    def away(self, gone: bool) -> None:
        """Cut all connections and refuse new ones, or serve again."""
        with self._lock:
            self._away = gone
            pairs = list(self._pairs) if gone else []
        for pair in pairs:
            _close(*pair)

    def hang(self, still: bool) -> None:
        """Take connections and bytes and pass none on, or pass on what has come and comes."""
        (self._flowing.clear if still else self._flowing.set)()

    def lose_commits(self, number: int) -> None:
        """Carry out the next `number` requests with the text and cut the connection in place of their answers."""
        with self._lock:
            self._lose = number

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                away = self._away
            if away:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target), 5.0)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            pair = (client, server)
            with self._lock:
                self._pairs.add(pair)
            dropping = threading.Event()
            for work in (self._upwards, self._downwards):
                threading.Thread(target=work, args=(pair, dropping), daemon=True).start()

    def _upwards(self, pair: tuple[socket.socket, socket.socket], dropping: threading.Event) -> None:
        client, server = pair
        with contextlib.suppress(OSError):
            while data := client.recv(_CHUNK):
                if self._text in data and self._take():
                    dropping.set()
                self._flowing.wait()
                server.sendall(data)
        self._end(pair)

    def _downwards(self, pair: tuple[socket.socket, socket.socket], dropping: threading.Event) -> None:
        client, server = pair
        with contextlib.suppress(OSError):
            while data := server.recv(_CHUNK):
                if dropping.is_set():  # the server has answered: it is done
                    break
                self._flowing.wait()
                client.sendall(data)
        self._end(pair)

    def _take(self) -> bool:
        with self._lock:
            if not self._lose:
                return False
            self._lose -= 1
            self.lost += 1
            return True

    def _end(self, pair: tuple[socket.socket, socket.socket]) -> None:
        _close(*pair)
        with self._lock:
            self._pairs.discard(pair)


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
