"""A package index in a folder (PEP 503), to install from what is not published yet, and what was installed from it."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

from release.building import checksum


def write_index(folder: Path, files: Iterable[Path]) -> str:
    """Copy wheels and sdists into a folder, write the pages that pip reads, and return the address for pip."""
    pages = defaultdict[str, list[str]](list)
    for file in sorted(files):
        name: str = (parse_wheel_filename if file.suffix == ".whl" else parse_sdist_filename)(file.name)[0]
        home = folder / "simple" / name
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, home)
        link = html.escape(f"{file.name}#sha256={checksum(file)}")
        pages[name].append(f'<a href="{link}">{html.escape(file.name)}</a><br>')
    for name, links in pages.items():
        _write_page(folder / "simple" / name, links)
    _write_page(folder / "simple", [f'<a href="{name}/">{name}</a><br>' for name in sorted(pages)])
    return (folder / "simple").resolve().as_uri()


def strangers(report: Path, files: Iterable[Path]) -> list[str]:
    """Return the packages that pip installed under the names of ours, but not from our files.

    Parameters
    ----------
    report : what pip wrote with ``--report``.
    files : our wheels. That each of their distributions was installed is not asked.
    """
    ours = {parse_wheel_filename(file.name)[0]: checksum(file) for file in files}
    found = []
    for item in json.loads(report.read_text(encoding="utf-8"))["install"]:
        name = canonicalize_name(item["metadata"]["name"])
        download = item["download_info"]
        if name in ours and download.get("archive_info", {}).get("hashes", {}).get("sha256") != ours[name]:
            found.append(f"{name} {item['metadata']['version']} from {download['url']}")
    return found


def extra_indexes(listed: str) -> list[str]:
    """Return the extra indexes that a user has told pip of, from what ``pip config list`` prints.

    A variable of the environment takes the place of what is configured, so whoever sets one must hand that on.
    """
    pattern = r"^(?:global|install|:env:)\.extra-index-url='(.*)'$"
    return [
        address for value in re.findall(pattern, listed, re.MULTILINE) for address in value.replace("\\n", " ").split()
    ]


def _write_page(folder: Path, lines: Iterable[str]) -> None:
    head = '<!DOCTYPE html>\n<meta charset="utf-8">\n<meta name="pypi:repository-version" content="1.0">\n'
    (folder / "index.html").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
