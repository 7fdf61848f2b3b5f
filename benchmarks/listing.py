"""What `xaicore list` costs, with many plugins and with broken ones.

    python benchmarks/listing.py

Prints the CPU time, user and system, of processes of their own: the interpreter alone, the libraries that any command
needs, and `xaicore list` with what is installed here, with twelve plugins, and with eight broken ones beside them.
Bytecode is kept in a folder for the run, as pip leaves it beside what it installs. The aim is 0.3 s.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from installing import install, install_of_usual_size

from xaicore.plugins import PluginRegistry

AIM = 0.3
BROKEN = {
    "import_error": "import no_such_library\n",
    "hook_raises": "def xaicore_methods():\n    raise ValueError('out of cheese')\n",
    "exits": "raise SystemExit(1)\n",
    "hook_asks": "def xaicore_methods(model):\n    return []\n",
    "too_new": "XAICORE_API = '0.999'\n",
    "lrp": "",  # a namespace that is taken
    "misspelt": "def xaicore_method():\n    return []\n",
    "deleted": None,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory(prefix="xaicore-listing-") as name:
        place = Path(name)
        many, broken = place / "many", place / "broken"
        for folder in (many, broken):
            folder.mkdir()
        installed = sum(info.namespace != "core" for info in PluginRegistry.discover().plugins())
        for number in range(max(0, 12 - installed)):
            install_of_usual_size(many, f"usual_{number}")
        for namespace, source in BROKEN.items():
            files = {} if source is None else {"_plugin.py": source}
            install(broken, namespace, files, distribution=f"broken-{namespace.replace('_', '-')}")
        listing = ("-m", "xaicore", "list")
        rows = {
            "python -c pass": measured(place, [], ("-c", "pass"), repeats),
            "click, importlib_metadata, pluggy": measured(
                place, [], ("-c", "import click, importlib_metadata, pluggy"), repeats
            ),
            f"xaicore list, {installed} plugins": measured(place, [], listing, repeats),
            f"xaicore list, {max(12, installed)} plugins": measured(place, [many], listing, repeats),
            "the same, and 8 broken ones": measured(place, [many, broken], listing, repeats),
            "xaicore plugins of all these": measured(place, [many, broken], ("-m", "xaicore", "plugins"), repeats),
        }
    print(f"{'CPU seconds':<36} {'best':>6} {'median':>7}   (of {repeats} processes, one after the other)")
    for label, seconds in rows.items():
        print(f"{label:<36} {min(seconds):6.3f} {statistics.median(seconds):7.3f}")
    print(f"{'aim':<36} {AIM:6.3f}")


def measured(place: Path, folders: Sequence[Path], arguments: Sequence[str], repeats: int) -> list[float]:
    """Return the CPU seconds of each of several processes; one before them leaves the bytecode."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(place / "bytecode")
    environment["PYTHONPATH"] = os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")]).rstrip(
        os.pathsep
    )
    return [cpu_seconds([sys.executable, *arguments], environment) for _ in range(repeats + 1)][1:]


def cpu_seconds(command: Sequence[str], environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main()
