"""One merged log stream with process names, and one bounded file per process.

Lives here: where a child's lines go. May not live here: what a process logs (schemas/logs.py).
Console: https://rich.readthedocs.io/en/stable/console.html
"""

from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.text import Text

MAX_FILE_BYTES = 16 * 1024 * 1024
"""Past this a file becomes `<name>.log.1`, replacing the one before: at most twice this per process."""
MAX_LINE_BYTES = 16 * 1024
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "red")
_NAME_WIDTH = 8


class LogStream:
    """Write lines to the console with a coloured name (plain when it is no terminal) and to `folder/<name>.log`."""

    def __init__(self, console: Console, folder: Path, *, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        self._console: Console | None = console
        self._folder = folder
        self._max = max_file_bytes
        self._files: dict[str, BinaryIO] = {}
        self._colours: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def write(self, name: str, line: str) -> None:
        """Write one line of process `name`."""
        self._to_file(name, line)
        self._to_console(name, line)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _to_file(self, name: str, line: str) -> None:
        path = self._folder / f"{name}.log"
        file = self._files.get(name)
        if file is not None and file.tell() > self._max:
            file.close()
            path.replace(path.with_suffix(".log.1"))
            file = None
        if file is None:
            file = self._files[name] = path.open("ab", buffering=0)
        file.write(line.encode(errors="replace") + b"\n")

    def _to_console(self, name: str, line: str) -> None:
        if self._console is None:
            return
        try:
            if self._console.is_terminal:
                colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
                text = Text.assemble((f"{name:<{_NAME_WIDTH}} │ ", colour), Text.from_ansi(line))
                self._console.print(text, soft_wrap=True)
            else:
                self._console.file.write(f"{name:<{_NAME_WIDTH}} | {line}\n")
                self._console.file.flush()
        except (OSError, ValueError):  # the reader of our output is gone: the files go on
            self._console = None


class LineSplitter:
    """Cut a byte stream into lines of at most MAX_LINE_BYTES."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[str]:
        """Return the lines that `piece` completes."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        while len(self._rest) > MAX_LINE_BYTES:
            lines.append(self._rest[:MAX_LINE_BYTES])
            self._rest = self._rest[MAX_LINE_BYTES:]
        return [
            line[start : start + MAX_LINE_BYTES].decode(errors="replace").rstrip("\r")
            for line in lines
            for start in range(0, max(1, len(line)), MAX_LINE_BYTES)
        ]

    def end(self) -> list[str]:
        """Return the last, unfinished line, if any."""
        rest, self._rest = self._rest, b""
        return [rest.decode(errors="replace")] if rest else []
