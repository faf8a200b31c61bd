"""The end of a process has a bound, whatever its threads hang in.

Lives here: the last seconds after a process' main has returned. The interpreter joins its worker threads before it
ends, and one of them may stand in a name look-up that nobody answers, for minutes. What was to be kept is kept by then.
https://docs.python.org/3/library/concurrent.futures.html#threadpoolexecutor (threads are joined before exit)
"""

import atexit
import faulthandler
import gc
import logging
import os
import sys
import threading

from schemas.logs import logger

END_S = 5.0
"""From the return of main to the end of the process; below the 10 s that container engines give to a whole stop."""
_LAST_RESORT = 2.0
_log = logger(__name__)


def quick() -> None:
    """Let the interpreter end without looking once more at all that was ever imported: a second of CPU.

    Its last collections look for cycles in every module; frozen objects are passed over. Threads are joined, functions
    of `atexit` and finalizers are called as ever.
    https://docs.python.org/3/library/gc.html#gc.freeze
    """
    atexit.register(gc.freeze)


def bounded(code: int, after_s: float = END_S) -> None:
    """Let the process end with `code` by itself, and end it with `code` when it has not after `after_s` seconds.

    Where a call inside C keeps the interpreter lock no Python runs any more: faulthandler's timer, which needs none,
    ends the process with 1 at twice the time.
    """
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(after_s * _LAST_RESORT, exit=True, file=sys.__stderr__)
    threading.Thread(target=_end, args=(code, after_s), name="end", daemon=True).start()


def _end(code: int, after_s: float) -> None:
    threading.Event().wait(after_s)
    names = sorted(thread.name for thread in threading.enumerate() if thread is not threading.current_thread())
    _log.error("exit_was_stuck", after_s=after_s, exit_code=code, threads=names)
    for handler in logging.getLogger().handlers:
        handler.flush()
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback(file=sys.__stderr__, all_threads=True)
    os._exit(code)
