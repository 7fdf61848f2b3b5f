"""The cards of a plugin, one for each thing that it brings."""

from __future__ import annotations

from xaicore.errors import InputError
from xaicore.plugins import CommandSpec, Descriptor, MappingSpec, MethodSpec, MetricSpec, RendererSpec, Status
from xaicore.testing.card import Card, Outcome, Tier, Verdict
from xaicore.testing.checks import Check, run_checks, what_raised
from xaicore.testing.plugins.hooks import commands_help, hooks_repeat, loads, names_are_free, targets_resolve
from xaicore.testing.plugins.importing import imports_leave_no_trace, light_import
from xaicore.testing.plugins.metadata import (
    claims_the_lowest_core,
    metadata_complete,
    states_its_api,
    uses_nothing_deprecated,
    uses_public_names_only,
)
from xaicore.testing.plugins.subject import PluginSubject
from xaicore.testing.stated import failures_in
from xaicore.testing.titles import title_of

PLUGIN_CHECKS: tuple[Check[PluginSubject], ...] = (
    loads, light_import, hooks_repeat, targets_resolve, imports_leave_no_trace, commands_help, names_are_free,
    metadata_complete, states_its_api, uses_public_names_only, uses_nothing_deprecated, claims_the_lowest_core,
)  # fmt: skip


def titles_of(name: str) -> list[str]:
    """What the cards of a plugin are called: the plugin's own first; found without importing what it brings."""
    subject = PluginSubject.of(name)
    return [subject.title, *(title_of(spec) for spec in _tried(subject))]


def card_of(name: str, title: str) -> Card:
    """Try one of the things that `titles_of` names; of what cannot even be made, the card says why."""
    subject = PluginSubject.of(name)
    if title == subject.title:
        return plugin_card(subject)
    for spec in _tried(subject):
        if title_of(spec) == title:
            failures_in(subject.module)  # what is stated in another form is refused at once
            try:
                return _card(spec)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # its module, or its example, may raise anything
                return _card_of_nothing(title, error)
    raise InputError(f"The plugin {name!r} brings no {title!r}.")


def plugin_card(subject: PluginSubject) -> Card:
    """The card of the plugin itself, without those of what it brings."""
    status = subject.info.status
    reasons = failures_in(subject.module).get(subject.info.namespace, {}) if status is Status.OK else {}
    checks = (loads,) if status is Status.DISABLED else PLUGIN_CHECKS  # what is disabled is not imported
    return run_checks(subject.title, subject, checks, reasons)


def _card_of_nothing(title: str, error: BaseException) -> Card:
    outcome = Outcome(check="can_be_tried", tier=Tier.INTERFACE, verdict=Verdict.FAILED, message=what_raised(error))
    return Card(title, [outcome])


def _tried(subject: PluginSubject) -> list[Descriptor]:
    """What has a card of its own; commands are looked at with the plugin."""
    return [spec for spec in subject.specs if not isinstance(spec, CommandSpec)]


def _card(spec: Descriptor) -> Card:
    from xaicore.testing.mappings import mapping_card
    from xaicore.testing.methods import method_card
    from xaicore.testing.metrics import metric_card
    from xaicore.testing.renderers import renderer_card

    match spec:
        case MethodSpec():
            return method_card(spec.name)
        case MetricSpec():
            return metric_card(spec.name)
        case RendererSpec():
            return renderer_card(spec.name)
        case MappingSpec():
            return mapping_card(spec)
    raise InputError(f"{spec!r} is nothing that has a card.")
