"""`python -m tests.house [up|down|status]`: keep one broker between test runs (`make house`)."""

import sys

from tests.house.broker import end_kept, keep, kept_bootstrap

_USAGE = "usage: python -m tests.house [up|down|status]\n"


def main(arguments: list[str]) -> int:
    """Start, end or show the kept broker; return the exit code."""
    command = arguments[0] if arguments else "up"
    if command == "up":
        text = f"broker at {keep()}; tests use it by themselves; end it with: python -m tests.house down"
    elif command == "down":
        text = "ended" if end_kept() else "there was none"
    elif command == "status":
        text = kept_bootstrap() or "none"
    else:
        sys.stderr.write(_USAGE)
        return 2
    sys.stdout.write(f"{text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
