"""Copies of the checkout to build in, as unlike each other as two machines are, and what becomes of them."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from release.packages import Package


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What must not show in what is built: where, when, by whom, and in which language.

    Parameters
    ----------
    folder : where the copy lies, below the folder for all copies.
    umask : which permissions new files do not get; also taken from the copied files.
    modified : when the copied files were last changed, in seconds since 1970.
    environment : variables of the build.
    """

    folder: str
    umask: int
    modified: int
    environment: Mapping[str, str]


UNLIKE = (
    Surroundings(
        folder="one",
        umask=0o022,
        modified=1_000_000_000,
        environment={"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"},
    ),
    Surroundings(
        folder="two/some levels further down",
        umask=0o077,
        modified=1_700_000_001,
        environment={"TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2"},
    ),
)


def files_of_checkout(root: Path) -> tuple[Path, ...]:
    """Return the files that git knows or would add, relative to the root: without caches and other ignored files."""
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return tuple(sorted(path for path in map(Path, filter(None, listed.split("\0"))) if (root / path).is_file()))


def uncommitted(root: Path) -> list[str]:
    """Return what differs from the last commit, as git says it."""
    return _git(root, "status", "--porcelain").splitlines()


def source_date(package: Package, root: Path) -> str:
    """Return SOURCE_DATE_EPOCH: the date of the version in the changelog, or else that of the last commit."""
    date = package.releases[0].date
    if date is None:
        return _git(root, "log", "-1", "--format=%ct").strip()
    midnight = datetime.datetime.combine(date, datetime.time(), tzinfo=datetime.UTC)
    return str(int(midnight.timestamp()))


def copy_files(files: Iterable[Path], origin: Path, copy: Path, around: Surroundings | None = None) -> None:
    """Copy files, given relative to the folder `origin`, to where they are built."""
    for relative in files:
        target = copy / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(origin / relative, target)
        if around is not None:
            target.chmod(target.stat().st_mode & 0o777 & ~around.umask)
            os.utime(target, (around.modified, around.modified))


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    """New files get no permission of the mask, also those of processes that are started inside."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def checksum(file: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def differing(one: Path, other: Path) -> list[str]:
    """Return the names of files that two folders do not have alike."""
    names = {file.name for folder in (one, other) for file in folder.iterdir()}
    sums = [{name: checksum(folder / name) for name in names if (folder / name).exists()} for folder in (one, other)]
    return sorted(name for name in names if sums[0].get(name) != sums[1].get(name))


def write_checksums(folder: Path) -> Path:
    """Write SHA256SUMS beside the wheels and sdists of a folder, for `sha256sum --check`."""
    files = sorted(file for file in folder.iterdir() if file.name.endswith((".whl", ".tar.gz")))
    sums = folder / "SHA256SUMS"
    sums.write_text("".join(f"{checksum(file)}  {file.name}\n" for file in files), encoding="utf-8")
    return sums


def _git(root: Path, *arguments: str) -> str:
    try:
        answer = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(
            f"Releases are built from a git clone: git {arguments[0]} failed in {root}: {error}"
        ) from error
    return answer.stdout
