"""Every error that xaicore raises on purpose.

    XaicoreError
     ├─ CaptureError                          the model cannot be captured as a graph
     ├─ InputError (ValueError)               inputs the model or method cannot take: shape, dtype, device, NaN, empty
     │   └─ ArgumentsError                    more, fewer or other inputs than the model's forward takes
     ├─ TargetError (ValueError)              the target does not exist or is ambiguous
     ├─ ParameterError (ValueError)           a method's parameter is unknown or out of range
     ├─ LayerError (LookupError)              no such layer, or a name that fits several
     ├─ MatchError                            a layer on the path has no backward mapping
     ├─ NotFittedError (ValueError,           a method that learns is asked to explain before `fit`
     │                  AttributeError)
     ├─ OutOfMemoryError (MemoryError)        even the smallest batch does not fit into memory
     ├─ FileError (OSError)                   a file that cannot be read or written as asked
     └─ PluginError                           something about installed or missing plugins
         ├─ PluginLoadError                   a plugin is broken, incompatible, or in conflict with another
         ├─ UnknownMethodError (LookupError)  no method of that name, or a name that fits several
         ├─ UnknownMetricError (LookupError)  the same for metrics
         └─ UnknownRendererError (LookupError)  the same for renderers

A message says what was wrong, where, and what to do about it. The second base lets callers who do
not know xaicore catch what they would expect (`except ValueError`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ArgumentsError",
    "CaptureError",
    "FileError",
    "InputError",
    "LayerError",
    "MatchError",
    "NotFittedError",
    "OutOfMemoryError",
    "ParameterError",
    "PluginError",
    "PluginLoadError",
    "TargetError",
    "UnknownMethodError",
    "UnknownMetricError",
    "UnknownRendererError",
    "XaicoreError",
    "nearest",
]


class XaicoreError(Exception):
    """Root of all errors that xaicore and its plugins raise on purpose."""

    def __str__(self) -> str:
        # KeyError and OSError quote or rearrange their arguments; a message is meant to be read as written.
        return str(self.args[0]) if len(self.args) == 1 else super().__str__()


class CaptureError(XaicoreError):
    """The model cannot be captured as a graph."""


class InputError(XaicoreError, ValueError):
    """Inputs that the model or the method cannot take: shape, dtype, device, NaN, or nothing at all."""


class ArgumentsError(InputError):
    """More, fewer or other inputs than the model's forward takes.

    Parameters
    ----------
    problem : str
        What is wrong.
    advice : str
        How inputs are given in Python; the command line says it in its own way.
    """

    def __init__(self, problem: str, advice: str = "") -> None:
        super().__init__(f"{problem} {advice}".rstrip())
        self.problem = problem


class TargetError(XaicoreError, ValueError):
    """The target does not exist in the model's output, or does not say which quantity is meant."""


class ParameterError(XaicoreError, ValueError):
    """A parameter of a method is unknown or out of range."""


class LayerError(XaicoreError, LookupError):
    """No layer has this name, or several do."""


class MatchError(XaicoreError):
    """A layer on the path from the inputs to the target has no backward mapping."""


class NotFittedError(XaicoreError, ValueError, AttributeError):
    """A method that learns from data was asked to explain before `fit`."""


class OutOfMemoryError(XaicoreError, MemoryError):
    """Even the smallest batch that can be run does not fit into memory."""


class FileError(XaicoreError, OSError):
    """A file that cannot be read or written as asked."""


class PluginError(XaicoreError):
    """Something about installed or missing plugins."""


class PluginLoadError(PluginError):
    """A plugin is broken, asks for another core, or is in conflict with another plugin."""


class UnknownMethodError(PluginError, LookupError):
    """No installed method has this name, or several do."""


class UnknownMetricError(PluginError, LookupError):
    """No installed metric has this name, or several do."""


class UnknownRendererError(PluginError, LookupError):
    """No installed renderer has this name, or several do."""


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the candidate that resembles `name` most, or "" where none does.

    Letter case is ignored. The leading space makes the result fit behind a sentence.
    """
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean {by_lower[close[0]]!r}?" if close else ""
