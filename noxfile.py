"""Every check of this repository, one session each: `nox -l` lists them, `nox -s tests` runs one."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import tomllib
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
CONSTRAINTS = ROOT / ".ci" / "constraints.txt"
CHROMIUM = ("chromium", "chromium-browser")  # what the browser is called

nox.options.sessions = ["tests", "lint", "types", "wheels"]
nox.options.reuse_venv = "yes"  # but for `wheels`, which is about clean environments
nox.options.error_on_missing_interpreters = True


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, with every plugin installed. Arguments go to pytest: `nox -s tests -- tests/graph -x`."""
    install_checkout(session, "test")
    session.run("pytest", "-n", "2", "--dist", "worksteal", *session.posargs, env=one_thread())


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    install(session, "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    lend_torch(session)
    install_checkout(session)
    install(session, "mypy")
    session.run("mypy", *session.posargs)


@nox.session(reuse_venv=False)
@nox.parametrize("plugin", PLUGINS, ids=PLUGINS)
def wheels(session: nox.Session, plugin: str) -> None:
    """Build wheels, install the core's and one plugin's, and run the plugin's tests away from the checkout."""
    below = built_on(plugin)
    lend_torch(session)
    with tempfile.TemporaryDirectory(prefix="xaicore-wheels-") as folder:
        place = Path(folder)
        for project in (ROOT, *(ROOT / "plugins" / name for name in (*below, plugin))):
            pip_wheel = ("pip", "wheel", "--no-deps", "--wheel-dir", str(place / "wheels"), str(project))
            session.run(*pip_wheel, env={"PIP_CONSTRAINT": str(CONSTRAINTS)})
        core, own = built(place, "xaicore"), built(place, f"xai_{plugin.replace('-', '_')}")
        wheels_below = (str(built(place, f"xai_{name}")) for name in below)
        install(session, str(core), *wheels_below, f"{own}[test]", "pytest-xdist")
        shutil.copytree(ROOT / "plugins" / plugin / "tests", place / "tests")
        shutil.copy(ROOT / "pyproject.toml", place)  # for the settings of pytest
        with session.chdir(place):
            session.run("xaicore", "plugins", env={"XAICORE_STRICT_PLUGINS": "1"})
            session.run("pytest", "tests", "-n", "2", "--dist", "worksteal", *session.posargs, env=one_thread())


@nox.session
def demo(session: nox.Session) -> None:
    """Explain the mistakes of a small network with every installed method, and write a folder of figures."""
    install_checkout(session)
    folder = ROOT / "demo-output"
    session.run("xaicore", "demo", "-o", str(folder), *session.posargs)
    session.log(f"The figures and their index page are in {folder}")


@nox.session
def docs(session: nox.Session) -> None:
    """Run the code in docstrings, in the README and the guides, and the example scripts."""
    install_checkout(session, "test")
    session.run("pytest", "--doctest-modules", "xaicore", *session.posargs)
    session.run("pytest", "tests/test_docs.py", "tests/test_examples.py", *session.posargs, env=one_thread())


@nox.session
def browser(session: nox.Session) -> None:
    """Test reports in Chromium, which is installed by apt-get where there is none. Playwright brings no browser."""
    if not any(map(shutil.which, CHROMIUM)):
        if shutil.which("apt-get") is None:
            session.error("These tests need Chromium, and there is no apt-get to install it with: install it yourself.")
        session.run("apt-get", "update", external=True)
        session.run("apt-get", "install", "--yes", "--no-install-recommends", "chromium", external=True)
    install(session, "--editable", f"{ROOT}[browser]", "pytest>=9.0")
    required = {"XAICORE_BROWSER_TESTS": "required"}
    session.run("pytest", "tests/browser", *session.posargs, env=one_thread() | required)


@nox.session
def bench(session: nox.Session) -> None:
    """Time rules, methods of many runs, recurrent networks, metrics, comparisons beside what they cost at least."""
    install_checkout(session, "test")
    for script in ("propagation", "many_runs", "recurrent", "comparison", "evaluation"):
        session.run("python", f"benchmarks/{script}.py", *session.posargs)


@nox.session
def architectures(session: nox.Session) -> None:
    """Write docs/architectures.md anew: coverage, conservation and time on each torchvision model, in about an hour."""
    install_checkout(session, "test")
    page = Path("docs", "architectures.md")
    session.run("python", "benchmarks/architectures.py", "--all", "--output", str(page), *session.posargs)


def install(session: nox.Session, *packages: str) -> None:
    """Install packages in the versions that the checks run with, also where pip builds them."""
    settings = {"PIP_CONSTRAINT": str(CONSTRAINTS), "PIP_NO_COMPILE": "1"}  # most of torch is never imported
    session.install("--constraint", str(CONSTRAINTS), *packages, env=settings)


def install_checkout(session: nox.Session, *extras: str) -> None:
    """Install the core and all plugins from the checkout, editable."""
    suffix = f"[{','.join(extras)}]" if extras else ""
    projects = [str(ROOT) + suffix, *(str(ROOT / "plugins" / name) + suffix for name in PLUGINS)]
    install(session, *(part for project in projects for part in ("--editable", project)))


def lend_torch(session: nox.Session) -> None:
    """Let a session's environment see torch, which is unpacked once for all: that takes longer than many tests do."""
    home = ROOT / ".nox" / "torch-alone"
    home.parent.mkdir(exist_ok=True)
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # sessions may run side by side
        if not (home / "ready").exists():
            session.run("python", "-m", "venv", "--clear", str(home))
            pip = (str(home / "bin" / "python"), "-m", "pip", "install", "--constraint", str(CONSTRAINTS), "torch")
            session.run(*pip, external=True, env={"PIP_NO_COMPILE": "1"})
            (home / "ready").touch()
    (lent,) = home.glob("lib/python*/site-packages")
    (own,) = Path(session.virtualenv.location).glob("lib/python*/site-packages")
    (own / "torch_alone.pth").write_text(f"{lent}\n")


def built_on(plugin: str) -> list[str]:
    """Return the other plugins of this repository that a plugin depends on."""
    with (ROOT / "plugins" / plugin / "pyproject.toml").open("rb") as file:
        dependencies = tomllib.load(file)["project"]["dependencies"]
    return [name for name in PLUGINS if any(each.startswith(f"xai-{name}>") for each in dependencies)]


def built(place: Path, name: str) -> Path:
    """Return the one wheel of a distribution."""
    (wheel,) = (place / "wheels").glob(f"{name}-*.whl")
    return wheel


def one_thread() -> dict[str, str]:
    """Tests are many and small: they run side by side, each on one core."""
    return {"OMP_NUM_THREADS": "1"}
