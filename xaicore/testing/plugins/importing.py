"""Whether a plugin is light to import, and leaves no trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from xaicore.testing.checks import interface, require
from xaicore.testing.plugins.subject import PluginSubject

HEAVY = ("torch", "numpy", "scipy", "sklearn", "matplotlib", "skimage", "PIL", "pandas", "torchvision", "transformers")
BUDGET = 0.1
"""CPU seconds that the module of the entry point may take, beyond what xaicore itself does."""

_LIGHT = """
import importlib, json, sys, time
import xaicore.plugins
from xaicore.plugins.hooks import call_hooks
before = time.process_time()
call_hooks(importlib.import_module({module!r}))
took = time.process_time() - before
print(json.dumps([took, [name for name in {heavy!r} if name in sys.modules]]))
"""

_TRACES = """
import json
import matplotlib, numpy, torch
from xaicore.plugins import resolve
from xaicore.testing.watching import changes, state_of_process

before = state_of_process()
for target in {targets!r}:
    resolve(target)
print(json.dumps(changes(before, state_of_process())))
"""


@interface
def light_import(subject: PluginSubject) -> str:
    """The module of the entry point imports nothing heavy, and takes next to no time."""
    took, heavy = _answer(_LIGHT.format(module=subject.module, heavy=HEAVY))
    require(
        not heavy,
        f"importing {subject.module} and asking its hooks imports {', '.join(heavy)}: name targets by import strings, "
        "and import nothing heavy in the module or in the package that holds it.",
    )
    require(took <= BUDGET, f"importing {subject.module} takes {took:.2f} s of CPU; the budget is {BUDGET} s.")
    return f"{1e3 * took:.1f} ms"


@interface
def imports_leave_no_trace(subject: PluginSubject) -> None:
    """Importing what the plugin brings changes no state that belongs to the whole process."""
    changed = _answer(_TRACES.format(targets=[spec.target for spec in subject.specs]))
    require(
        not changed,
        f"importing its targets changes {', '.join(changed)}, which belong to the user: set such things where they "
        "are needed, and put them back.",
    )


def _answer(code: str) -> list:  # type: ignore[type-arg]
    """What code prints, run by a Python of its own, with the same places to import from."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    require(done.returncode == 0, f"a Python of its own cannot import it: {_last_line(done.stderr)}")
    require(bool(done.stdout.strip()), "it exits the program that imports it.")
    found: list = json.loads(done.stdout.strip().splitlines()[-1])  # type: ignore[type-arg]
    return found


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else "it ended without a word"
