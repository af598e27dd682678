"""The checks of this repository: ``nox -s NAME`` runs one, ``nox`` the default three, ``nox -l`` lists them all.

Every session installs wheels into an environment of its own, never the working tree, so that what is checked is what
users get. Distributions and Pythons are read from the ``pyproject.toml`` files: a new one needs no line here.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ("lint", "typing", "tests")

# Without the first, uv waits for a download before it says that a Python is missing; without the others, the working
# tree's own nexus_connector/ hides the installed wheel from everything that is started in this folder.
os.environ.update(UV_PYTHON_DOWNLOADS="never", PYTHONSAFEPATH="1")
os.environ.pop("PYTHONPATH", None)

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
MEMBERS = {
    file.parent.name: file.parent.relative_to(ROOT)
    for pattern in PROJECT["tool"]["uv"]["workspace"]["members"]
    for file in sorted(ROOT.glob(f"{pattern}/pyproject.toml"))
}
CORE = "nexus-connector"
DISTRIBUTIONS = {name: f"{CORE}-{name}" for name in MEMBERS}
PACKAGES = [name.replace("-", "_") for name in (CORE, *DISTRIBUTIONS.values())]
UNTYPED = {"celery-task", "django-view"}
"""Recipes of the cookbook for packages that ship no types."""
FRESH = [f"--reinstall-package={name}" for name in (CORE, *DISTRIBUTIONS.values())]


def _find_python(version: str) -> str | None:
    """Find an interpreter and see to it that nox finds the same.

    The shims of pyenv answer only for the versions activated in a folder; the versions themselves lie beside them.
    """
    found = shutil.which(f"python{version}")
    if found and Path(found).parent.name != "shims":
        return found
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    builds = {
        int(match[1]): path
        for path in root.glob(f"versions/{version}.*/bin/python{version}")
        if (match := re.fullmatch(rf"{re.escape(version)}\.(\d+)", path.parents[1].name))
    }
    if not builds:
        return None
    newest = builds[max(builds)]
    os.environ["PATH"] = f"{newest.parent}{os.pathsep}{os.environ['PATH']}"
    return str(newest)


INSTALLED = [version for version in PYTHONS if _find_python(version)]


def _sync(session: nox.Session, *what: str) -> None:
    """Install the locked versions of what a session needs, with fresh wheels of this repository.

    uv builds a wheel anew when a ``pyproject.toml`` has changed, not when a source file has: without
    ``--reinstall-package`` the tests pass against code that is no longer there. It is ``run``, not ``run_install``, so
    that ``nox -R`` cannot leave it out either.
    """
    session.env.update(UV_PROJECT_ENVIRONMENT=session.virtualenv.location, UV_PYTHON=session.virtualenv.location)
    session.run("uv", "sync", "--quiet", "--locked", "--no-editable", "--no-default-groups", *FRESH, *what)


def _import(session: nox.Session, *packages: str) -> None:
    """Import every public name of the packages, and load every plugin that is installed."""
    for package in packages:
        session.run("python", "-c", f"from {package} import *")
    for group in ("nexus_connector.plugins", "nexus_connector.vendors"):
        load = f"[entry.load() for entry in metadata.entry_points(group='{group}')]"
        session.run("python", "-c", f"from importlib import metadata; {load}")


@nox.session
def tests(session: nox.Session) -> None:
    """Run every docstring example and every test, and hold the coverage; arguments go to pytest, without coverage."""
    _sync(session, "--all-packages", "--group=test", "--group=cookbook")
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    session.env["COVERAGE_FILE"] = str(Path(session.create_tmp()).resolve() / "coverage")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "--quiet", "--doctest-modules", "--pyargs", *PACKAGES)
    session.run("coverage", "run", "-m", "pytest", "-m", "not realtime", "--numprocesses=3", "--dist=loadfile")
    session.run("pytest", "-m", "realtime")
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session(python=PYTHONS)
def matrix(session: nox.Session) -> None:
    """Run every test on every supported Python; ``-- smoke`` only imports, other arguments go to pytest."""
    _sync(session, "--all-packages", "--group=test", "--group=cookbook")
    if session.posargs == ["smoke"]:
        _import(session, *PACKAGES)
    else:
        session.run("pytest", *session.posargs)


@nox.session
@nox.parametrize("member", list(MEMBERS), ids=list(MEMBERS))
def isolated(session: nox.Session, member: str) -> None:
    """Test each member with the core and nothing else beside it; ``-- NAME`` picks some."""
    if unknown := set(session.posargs) - set(MEMBERS):
        session.error(f"no member is called {', '.join(sorted(unknown))}; there are: {', '.join(MEMBERS)}")
    if session.posargs and member not in session.posargs:
        session.skip("not asked for")
    _sync(session, f"--package={CORE}", f"--package={DISTRIBUTIONS[member]}", "--group=test")
    session.run("pytest", str(MEMBERS[member] / "tests"))


@nox.session
def core_only(session: nox.Session) -> None:
    """Import and test the core without any plugin."""
    _sync(session, f"--package={CORE}", "--group=test")
    _import(session, PACKAGES[0])
    session.run("pytest", "tests/core", *session.posargs)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Test the core and every member against the lowest versions that they declare."""
    # Sources would make the members depend on an editable core.
    options = ("--resolution=lowest-direct", "--no-sources", "--group=test", "--group=cookbook", *FRESH)
    session.run("uv", "pip", "install", "--quiet", *options, ".", *(f"./{folder}" for folder in MEMBERS.values()))
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and changes; arguments go to ``ruff check``."""
    _sync(session, "--only-group=lint")
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")
    session.run("towncrier", "build", "--draft", "--version=next", silent=True)


@nox.session
def typing(session: nox.Session) -> None:
    """Check all types twice, with mypy and with pyright."""
    _sync(session, "--all-packages", "--group=typing", "--group=test", "--group=cookbook", "--group=docs")
    sources = [str(folder / "src" / package) for folder, package in zip(MEMBERS.values(), PACKAGES[1:], strict=True)]
    recipes = [str(file) for file in Path("docs/cookbook").glob("*/*.py") if file.parent.name not in UNTYPED]
    session.run("mypy", PACKAGES[0], *sources, "tests/typing", "tests/docs/cookbook_vendors.py", *sorted(recipes))
    session.run("mypy", "docs/_ext/reference_pages")
    session.run("pyright", "--pythonpath", shutil.which("python", path=session.bin) or "python")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build and test the pages; their examples are among the tests."""
    _sync(session, "--all-packages", "--group=docs", "--group=test")
    session.run("sphinx-build", "-W", "-n", "--keep-going", "-b", "html", "docs", "docs/_build/html")
    session.run("pytest", "tests/docs/test_built_pages.py")


@nox.session
def build(session: nox.Session) -> None:
    """Build every distribution into dist/, install the wheels from there and import them."""
    shutil.rmtree("dist", ignore_errors=True)
    session.run("uv", "build", "--quiet", "--all-packages", "--out-dir=dist")
    session.run("uv", "pip", "install", "--quiet", "--reinstall", *(str(wheel) for wheel in Path("dist").glob("*.whl")))
    _import(session, *PACKAGES)


@nox.session
def demo(session: nox.Session) -> None:
    """Install everything and run ``nexus demo``."""
    _sync(session, "--all-packages")
    session.run("nexus", "demo", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks and hold their table; arguments go to them, as ``-- --only wire --json FILE``."""
    _sync(session, "--all-packages", "--group=bench", "--group=test")
    session.run("python", "tests/benchmarks/run.py", *session.posargs)
