"""Loading one plugin at a time, so that a bad one costs nothing but itself."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from xaicore.errors import PluginError, PluginLoadError
from xaicore.plugins.compatibility import FIRST_VERSION, check_api
from xaicore.plugins.descriptors import CommandSpec, Descriptor, MethodSpec, MetricSpec, RendererSpec
from xaicore.plugins.discovery import Candidate, Switches
from xaicore.plugins.hooks import call_hooks


class Status(StrEnum):
    """What became of an installed plugin."""

    OK = "ok"
    DISABLED = "disabled"  # by an environment switch; not imported
    INCOMPATIBLE = "incompatible"  # written for another version of the plugin interface
    CONFLICT = "conflict"  # claims a namespace or command that is taken
    BROKEN = "broken"  # fails to import, raises, exits, or returns what no hook returns


@dataclass(frozen=True, kw_only=True)
class PluginInfo:
    """An installed plugin and what became of it; `cause` says why it is not `ok`, `load_time` is in seconds."""

    namespace: str
    distribution: str
    version: str
    status: Status
    cause: str = ""
    load_time: float = 0.0
    module: str = ""  # of its entry point
    error: BaseException | None = field(default=None, repr=False, compare=False)

    @property
    def label(self) -> str:
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True, kw_only=True)
class LoadedPlugin:
    """A plugin with the descriptors that its hooks returned; none unless its status is `ok`."""

    info: PluginInfo
    descriptors: Mapping[str, tuple[Descriptor, ...]] = field(default_factory=dict)


class _Refusal(Exception):  # noqa: N818  (no error: a plugin may be refused in good order)
    """A reason, other than being broken, for not taking a plugin in."""

    def __init__(self, status: Status, cause: str) -> None:
        super().__init__(cause)
        self.status = status


def load_all(
    candidates: Iterable[Candidate], switches: Switches, reserved_commands: Iterable[str] = ()
) -> list[LoadedPlugin]:
    """Load plugins in the order given; the first to claim a namespace or command owns it.

    Parameters
    ----------
    candidates : as `find_candidates` returns them.
    switches : what the environment allows.
    reserved_commands : names of commands that belong to the core.

    Raises
    ------
    PluginLoadError
        If the switches are strict and a plugin is broken, incompatible or in conflict.
    """
    owners: dict[str, str] = {}
    commands = dict.fromkeys(reserved_commands, "xaicore")
    plugins: list[LoadedPlugin] = []
    for candidate in candidates:
        plugin = _load(candidate, switches, owners, commands)
        info = plugin.info
        if switches.strict and info.status not in (Status.OK, Status.DISABLED):
            raise PluginLoadError(
                f"Plugin {info.namespace!r} ({info.label}) is {info.status}: {info.cause} "
                "XAICORE_STRICT_PLUGINS is set; without it the other plugins would go on working."
            ) from info.error
        if info.status is not Status.DISABLED:
            owners.setdefault(info.namespace, info.label)
        for spec in plugin.descriptors.get("xaicore_commands", ()):
            assert isinstance(spec, CommandSpec)
            commands[spec.name] = info.label
        plugins.append(plugin)
    return plugins


def _load(
    candidate: Candidate, switches: Switches, owners: Mapping[str, str], commands: Mapping[str, str]
) -> LoadedPlugin:
    descriptors: dict[str, tuple[Descriptor, ...]] = {}
    status, cause, failure = Status.OK, "", None
    started = time.perf_counter()
    try:
        _refuse_before_import(candidate, switches, owners)
        descriptors = _import_and_ask(candidate)
        _check_names(candidate, descriptors, commands)
    except _Refusal as refusal:
        status, cause = refusal.status, str(refusal)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit, and extension modules that panic, are failures of the plugin too
        status, cause, failure = Status.BROKEN, _describe(error), error
    info = PluginInfo(
        namespace=candidate.namespace,
        distribution=candidate.distribution,
        version=candidate.version,
        status=status,
        cause=cause,
        load_time=time.perf_counter() - started,
        module=candidate.entry_point.module if candidate.entry_point else "",
        error=failure,
    )
    return LoadedPlugin(info=info, descriptors=descriptors if status is Status.OK else {})


def _refuse_before_import(candidate: Candidate, switches: Switches, owners: Mapping[str, str]) -> None:
    disabled = switches.why_disabled(candidate)
    if disabled:
        raise _Refusal(Status.DISABLED, disabled)
    if candidate.namespace in owners:
        raise _Refusal(
            Status.CONFLICT,
            f"the namespace {candidate.namespace!r} is taken by {owners[candidate.namespace]}; uninstall one of them, "
            f"or set XAICORE_DISABLE_PLUGINS to the name of the distribution that is not wanted.",
        )


def _import_and_ask(candidate: Candidate) -> dict[str, tuple[Descriptor, ...]]:
    if candidate.entry_point is None:
        raise PluginError(f"its entry_points.txt cannot be read: {candidate.cause}")
    module = candidate.entry_point.load()
    reason = check_api(getattr(module, "XAICORE_API", FIRST_VERSION))
    if reason:
        raise _Refusal(Status.INCOMPATIBLE, reason)
    return call_hooks(module)


def _check_names(
    candidate: Candidate, descriptors: Mapping[str, tuple[Descriptor, ...]], commands: Mapping[str, str]
) -> None:
    seen: set[tuple[type, str]] = set()
    for spec in (spec for specs in descriptors.values() for spec in specs):
        if not isinstance(spec, MethodSpec | MetricSpec | RendererSpec | CommandSpec):
            continue
        if (type(spec), spec.name) in seen:
            raise PluginError(f"it registers {spec.name!r} twice.")
        seen.add((type(spec), spec.name))
        if isinstance(spec, CommandSpec):
            if spec.name in commands:
                raise _Refusal(Status.CONFLICT, f"the command {spec.name!r} is taken by {commands[spec.name]}.")
        elif not spec.name.startswith(f"{candidate.namespace}."):
            raise PluginError(
                f"it registers {spec.name!r} outside its namespace {candidate.namespace!r}, "
                "which is the name of its entry point."
            )


def _describe(error: BaseException) -> str:
    """Say in one line what a plugin did wrong."""
    if isinstance(error, PluginError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"it tried to exit the program (SystemExit: {error.code})."
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text}{_where(error)}"


def _where(error: BaseException) -> str:
    """Return " (file.py:3)" for the innermost frame that raised, outside the import system and this package."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if not filename.startswith("<frozen") and trace.tb_frame.f_globals.get("__name__") not in _OWN_MODULES:
            place = f" ({filename}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place


_OWN_MODULES = frozenset({__name__, "importlib", "importlib_metadata", "xaicore.plugins.hooks"})
