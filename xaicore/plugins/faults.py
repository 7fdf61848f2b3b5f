"""What went wrong in a plugin, where, and what to do about it, in words for the person who has installed it."""

from __future__ import annotations

from typing import NamedTuple

from pluggy import PluginValidationError

from xaicore import __version__
from xaicore.errors import PluginError


class Fault(NamedTuple):
    """What happened, with the place in brackets, and what to do."""

    cause: str
    fix: str


def fault_of(error: BaseException, *, distribution: str, module: str, folder: str = "") -> Fault:
    """Say what an error means that came out of a plugin.

    Parameters
    ----------
    error : as it was caught.
    distribution : the name under which pip knows the plugin.
    module : the module that was imported: the one that holds the hooks, or a target.
    folder : where the distribution is installed.
    """
    where, hook = _place(error)
    during = f"its hook {hook} " if hook else ""
    if isinstance(error, PluginValidationError):
        return Fault(_arguments_of_hook(error), tell_author(distribution))
    if isinstance(error, SystemExit):
        cause = f"{during or 'it '}tried to exit the program (SystemExit: {error.code}){where}"
        return Fault(cause, tell_author(distribution))
    if isinstance(error, PluginError):
        return Fault(f"{str(error).rstrip('.')}{where}", tell_author(distribution))
    if isinstance(error, ImportError):
        return _failed_import(error, where or (f" (installed in {folder})" if folder else ""), distribution, module)
    text = f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
    return Fault(f"{during}raised {text}{where}" if during else f"{text}{where}", tell_author(distribution))


def tell_author(distribution: str) -> str:
    """What to do about what only the author can mend."""
    return (
        f"See whether there is a version without this fault (pip install --upgrade {distribution}), or tell its "
        f"author. Until then uninstall it (pip uninstall {distribution}), or set "
        f"XAICORE_DISABLE_PLUGINS={distribution}."
    )


def reinstall(distribution: str) -> str:
    """What to do where files are missing. Without dependencies, or pip would fetch torch anew."""
    return f"pip install --force-reinstall --no-deps {distribution}, or be rid of it: pip uninstall {distribution}"


def _failed_import(error: ImportError, where: str, distribution: str, module: str) -> Fault:
    text = f"{type(error).__name__}: {' '.join(str(error).split())}{where}"
    missing = error.name or ""
    top = missing.partition(".")[0]
    if top == "xaicore" and module.partition(".")[0] != top:
        fix = f"pip install --upgrade xaicore {distribution}"
        return Fault(f"it builds on what this xaicore {__version__} does not have: {text}", fix)
    own = module.partition(".")[0]
    if not isinstance(error, ModuleNotFoundError):
        others = f"pip install --upgrade {distribution} brings versions of {top} and others that it says it fits"
        first = reinstall(distribution) if top in ("", own) else others
        return Fault(text, f"{first}. If that does not help: {tell_author(distribution)}")
    if top == own:
        cause = (
            f"its module {missing!r} is not there{where}: deleted or moved since it was installed, or never packaged"
        )
        return Fault(cause, reinstall(distribution))
    return Fault(
        text,
        f"pip install {distribution} brings what it says it needs; where {missing!r} is not among that, its author "
        f"forgot it: install the package that has it, or uninstall {distribution}.",
    )


def place_of(module: object, hook: str) -> str:
    """Return " (file.py:3)" of the function that implements a hook."""
    code = getattr(getattr(module, hook, None), "__code__", None)
    return f" ({code.co_filename}:{code.co_firstlineno})" if code else ""


def _arguments_of_hook(error: PluginValidationError) -> str:
    """Name the hook whose function asks for arguments; hooks have none."""
    text = " ".join(str(error).split())
    for name, function in vars(error.plugin).items():
        code = getattr(function, "__code__", None)
        if code and f"{code.co_name}(" in text and code.co_argcount > len(function.__defaults__ or ()):
            asked = ", ".join(code.co_varnames[: code.co_argcount])
            place = place_of(error.plugin, name)
            return f"its hook {name} takes the argument {asked!r}, and hooks are called without any{place}"
    return text


def _place(error: BaseException) -> tuple[str, str]:
    """Return " (file.py:3)" of the innermost frame that is the plugin's or a library's, and the hook it was called in.

    Frames of the import system, of pluggy and of this package tell a reader nothing.
    """
    place, hook = "", ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith("<") and not _is_machinery(trace.tb_frame.f_globals.get("__name__", "")):
            place = f" ({code.co_filename}:{trace.tb_lineno})"
            hook = hook or (code.co_name if code.co_name.startswith("xaicore_") else "")
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        place = f" ({error.filename}:{error.lineno})"
    return place, hook


def _is_machinery(module: str) -> bool:
    others = ("importlib", "importlib_metadata", "pluggy")
    return module.partition(".")[0] in others or module.startswith(("xaicore.plugins", "xaicore.errors"))
