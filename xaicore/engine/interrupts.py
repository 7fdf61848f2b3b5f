"""Ctrl-C during a run: what is running is finished, what is finished is returned."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Self


class Interrupts:
    """Notes the first Ctrl-C instead of raising it; a second one is raised.

    Only where Python's own handler would have raised it: in the main thread, and not where a program handles Ctrl-C
    in a way of its own. Of nested runs the outermost one notes it, and the inner ones stop as well.
    Runs in other threads go on: Python tells the main thread alone.
    """

    _asked = False
    _depth = 0

    def __enter__(self) -> Self:
        kind = type(self)
        self._concerned = threading.current_thread() is threading.main_thread()
        own = self._concerned and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        self._previous = signal.signal(signal.SIGINT, self._note) if own else None
        if self._concerned:
            kind._asked = kind._asked and kind._depth > 0
            kind._depth += 1
        return self

    def __exit__(self, *exception: object) -> None:
        if self._concerned:
            type(self)._depth -= 1
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    @property
    def asked(self) -> bool:
        """Whether Ctrl-C was pressed since the outermost run began."""
        return self._concerned and type(self)._asked

    def _note(self, number: int, frame: FrameType | None) -> None:
        if type(self)._asked:
            raise KeyboardInterrupt
        type(self)._asked = True
