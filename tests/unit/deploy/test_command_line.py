"""A running process is never taken for a dead one, not even while it executes another program."""

import subprocess

from deploy.local.kafka.broker import _command_line

LAUNCHES, READS = 40, 100
COMMAND = ("/usr/bin/env", "LC_ALL=C", "/usr/bin/env", "A=1", "/bin/sh", "-c", "read line", "marker")


def test_a_process_that_executes_another_program_has_a_command_line() -> None:
    for _ in range(LAUNCHES):
        with subprocess.Popen(COMMAND, stdin=subprocess.PIPE) as process:
            unseen = sum("marker" not in _command_line(process.pid) for _ in range(READS))
            process.kill()
        assert unseen == 0


def test_a_process_that_ended_has_none() -> None:
    with subprocess.Popen(("/bin/true",)) as process:
        process.wait()
    assert _command_line(process.pid) == ""
