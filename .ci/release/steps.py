"""The steps of the session `build`: build, check what is built, install it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nox

from release import archives, building, index
from release.packages import Package, read_packages

FIRST_USE = Path(__file__).with_name("first_use.py")
INSTALLED_AS = (("xaicore", "xai-lrp"), ("xaicore[all]",))
"""What follows `pip install` in the README."""


def stop_at(session: nox.Session, faults: Sequence[str]) -> None:
    """End the session with all that is wrong, if anything is."""
    if faults:
        session.error("\n".join(["This is not fit for a release:", *faults]))


@dataclass(frozen=True)
class Snapshot:
    """What is released: a copy of the checkout, which may be edited meanwhile.

    Parameters
    ----------
    folder : where it lies.
    files : all of it, relative to the folder.
    packages : the core and the plugins.
    dates : SOURCE_DATE_EPOCH by name of package.
    """

    folder: Path
    files: tuple[Path, ...]
    packages: tuple[Package, ...]
    dates: Mapping[str, str]

    @classmethod
    def of(cls, checkout: Path, folder: Path) -> Snapshot:
        files = building.files_of_checkout(checkout)
        building.copy_files(files, checkout, folder)
        packages = read_packages(folder)
        return cls(folder, files, packages, {each.name: building.source_date(each, checkout) for each in packages})


def build_in(session: nox.Session, snapshot: Snapshot, place: Path, around: building.Surroundings) -> Path:
    """Build the sdist of each package, and its wheel from the sdist, in another copy; return the folder of both."""
    copy = place / around.folder
    output = copy.with_name(f"{copy.name}-dist")
    with building.umask(around.umask):
        building.copy_files(snapshot.files, snapshot.folder, copy, around)
        for package in snapshot.packages:
            settings = {**around.environment, "SOURCE_DATE_EPOCH": snapshot.dates[package.name]}
            project = copy / package.folder.relative_to(snapshot.folder)
            arguments = ("--no-isolation", "--outdir", str(output), str(project))
            session.run("python", "-m", "build", *arguments, env=settings, silent=True)
    return output


def check_built(session: nox.Session, snapshot: Snapshot, folder: Path) -> None:
    """Check metadata and contents of wheels and sdists."""
    session.run("twine", "check", "--strict", *sorted(str(file) for file in folder.iterdir()))
    faults = []
    for package in snapshot.packages:
        inside = package.folder.relative_to(snapshot.folder)
        sources = [file.relative_to(inside) for file in snapshot.files if file.is_relative_to(inside)]
        (wheel,) = folder.glob(f"{package.file_name}-{package.version}-*.whl")
        (sdist,) = folder.glob(f"{package.file_name}-{package.version}.tar.gz")
        faults += archives.faults_of_wheel(wheel, package, sources) + archives.faults_of_sdist(sdist, package, sources)
    stop_at(session, faults)


def install_as_users_do(
    session: nox.Session, packages: Sequence[Package], folder: Path, place: Path, pins: Sequence[str]
) -> None:
    """Install from an index by the commands of the README into a clean environment, and use what is there.

    Torch is installed with the rest, not lent: it brings dependencies of its own, which could stand in for some that
    we forgot to state. All but torch and our own packages come in the newest version, as users get them.
    """
    clean, report, constraints = place / "clean", place / "report.json", place / "constraints.txt"
    session.run("python", "-m", "venv", str(clean))
    python, scripts = str(clean / "bin" / "python"), clean / "bin"
    own = (f"{package.name}=={package.version}" for package in packages)
    constraints.write_text("\n".join([*pins, *own]), encoding="utf-8")
    configured = session.run(python, "-m", "pip", "config", "list", external=True, silent=True)
    alone = {"PYTHONPATH": None, "PYTHONNOUSERSITE": "1", "OMP_NUM_THREADS": "1"}
    settings = {
        "PIP_EXTRA_INDEX_URL": " ".join(
            [index.write_index(place / "index", folder.iterdir()), *index.extra_indexes(str(configured))]
        ),
        "PIP_CONSTRAINT": str(constraints),
        "PIP_REPORT": str(report),
        "PIP_NO_COMPILE": "1",
    }
    with session.chdir(place):
        for wanted in INSTALLED_AS:
            # Silent but where it fails: in which indexes pip finds nothing, it tells at length.
            session.run(str(scripts / "pip"), "install", *wanted, external=True, silent=True, env={**alone, **settings})
            stop_at(session, [f"pip took {each}" for each in index.strangers(report, folder.glob("*.whl"))])
            session.run(python, "-m", "pip", "check", external=True, env=alone)
            session.run(str(scripts / "xaicore"), "list", external=True, env=alone)
            strict = {"XAICORE_STRICT_PLUGINS": "1"}
            session.run(str(scripts / "xaicore"), "plugins", external=True, env=alone | strict)
            session.run(python, str(shutil.copy(FIRST_USE, place)), external=True, env=alone)
