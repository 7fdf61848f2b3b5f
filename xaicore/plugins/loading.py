"""Loading one plugin at a time, so that a bad one costs nothing but itself."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from xaicore.errors import PluginError, PluginLoadError
from xaicore.plugins.compatibility import FIRST_VERSION, check_api
from xaicore.plugins.cores import disagreement
from xaicore.plugins.descriptors import CommandSpec, Descriptor, MethodSpec, MetricSpec, RendererSpec
from xaicore.plugins.discovery import CORE, Candidate, Switches
from xaicore.plugins.faults import fault_of, place_of, reinstall, tell_author
from xaicore.plugins.hooks import PREFIX, call_hooks
from xaicore.plugins.info import PluginInfo, Status


@dataclass(frozen=True, kw_only=True)
class LoadedPlugin:
    """A plugin with the descriptors that its hooks returned; none unless its status is `ok`."""

    info: PluginInfo
    descriptors: Mapping[str, tuple[Descriptor, ...]] = field(default_factory=dict)


class _Refusal(Exception):  # noqa: N818  (no error: a plugin may be refused in good order)
    """A reason, other than being broken, for not taking a plugin in."""

    def __init__(self, status: Status, cause: str, fix: str = "") -> None:
        super().__init__(cause)
        self.status, self.cause, self.fix = status, cause, fix


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
                f"Plugin {info.namespace!r} ({info.label}) is {info.status.in_words}: {info.cause_and_fix} "
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
    module: object = None
    descriptors: dict[str, tuple[Descriptor, ...]] = {}
    status, cause, fix = Status.OK, "", ""
    failure: BaseException | None = None
    started = time.perf_counter()
    try:
        _refuse_before_import(candidate, switches, owners)
        module = _import(candidate)
        _refuse_misfit(candidate, module)
        descriptors = call_hooks(module)
        _check_names(candidate, module, descriptors, commands)
    except _Refusal as refusal:
        status, cause, fix = refusal.status, refusal.cause, refusal.fix
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit, and extension modules that panic, are failures of the plugin too
        failure = error
    seconds = time.perf_counter() - started
    if failure is not None:
        status, cause, fix = _diagnosis(candidate, failure)
    taken = descriptors if status is Status.OK else {}
    info = PluginInfo(
        namespace=candidate.namespace,
        distribution=candidate.distribution,
        version=candidate.version,
        status=status,
        cause=cause,
        fix=fix,
        module=candidate.module,
        folder=candidate.folder,
        api="" if module is None else str(_api_of(module)),
        requires=candidate.requires,
        brings={hook.removeprefix(PREFIX): len(specs) for hook, specs in taken.items() if specs},
        load_time=seconds,
        error=failure,
    )
    return LoadedPlugin(info=info, descriptors=taken)


def _diagnosis(candidate: Candidate, error: BaseException) -> tuple[Status, str, str]:
    """Say of a plugin that failed whether it is broken, or made for another core as its metadata says."""
    name = candidate.distribution
    cause, fix = fault_of(error, distribution=name, module=candidate.module, folder=candidate.folder)
    other_core = disagreement(candidate.requires)
    if not other_core:
        return Status.BROKEN, cause, fix
    return Status.INCOMPATIBLE, f"{other_core}, and {cause}", f"pip install --upgrade xaicore {name}"


def _refuse_before_import(candidate: Candidate, switches: Switches, owners: Mapping[str, str]) -> None:
    disabled = switches.why_disabled(candidate)
    if disabled:
        raise _Refusal(Status.DISABLED, disabled)
    if candidate.namespace in owners:
        owner = owners[candidate.namespace]
        raise _Refusal(
            Status.CONFLICT, f"the namespace {candidate.namespace!r} is taken by {owner}.", _keep_one(candidate, owner)
        )


def _keep_one(candidate: Candidate, owner: str) -> str:
    """Say how to do without one of two plugins that claim the same; the core cannot be done without."""
    name, other = candidate.distribution, owner.partition(" ")[0]
    if other in (CORE, name):
        return tell_author(name)
    return (
        f"Keep one: pip uninstall {name}, or pip uninstall {other}. To have both installed and use one, set "
        f"XAICORE_DISABLE_PLUGINS to the distribution that is not wanted."
    )


def _import(candidate: Candidate) -> object:
    if candidate.entry_point is None:
        raise _Refusal(
            Status.BROKEN,
            f"its entry_points.txt cannot be read (installed in {candidate.folder}): {candidate.cause}",
            f"{reinstall(candidate.distribution)}. If that does not help: {tell_author(candidate.distribution)}",
        )
    return candidate.entry_point.load()


def _api_of(module: object) -> object:
    return getattr(module, "XAICORE_API", FIRST_VERSION)


def _refuse_misfit(candidate: Candidate, module: object) -> None:
    """Refuse a plugin that is written for another version of the interface."""
    reason = check_api(_api_of(module))
    if reason:
        name = candidate.distribution
        fix = f"pip install --upgrade xaicore {name}; or take another version of {name} that fits this xaicore."
        raise _Refusal(Status.INCOMPATIBLE, reason, fix)


def _check_names(
    candidate: Candidate,
    module: object,
    descriptors: Mapping[str, tuple[Descriptor, ...]],
    commands: Mapping[str, str],
) -> None:
    seen: set[tuple[str, str]] = set()
    for hook, spec in ((hook, spec) for hook, specs in descriptors.items() for spec in specs):
        if not isinstance(spec, MethodSpec | MetricSpec | RendererSpec | CommandSpec):
            continue
        if (hook, spec.name) in seen:
            raise PluginError(f"its hook {hook} registers {spec.name!r} twice{place_of(module, hook)}.")
        seen.add((hook, spec.name))
        if isinstance(spec, CommandSpec):
            if spec.name in commands:
                owner = commands[spec.name]
                cause = f"the command {spec.name!r} is taken by {owner}."
                raise _Refusal(Status.CONFLICT, cause, _keep_one(candidate, owner))
        elif not spec.name.startswith(f"{candidate.namespace}."):
            raise PluginError(
                f"its hook {hook} registers {spec.name!r} outside its namespace {candidate.namespace!r}, "
                f"which is the name of its entry point{place_of(module, hook)}."
            )
