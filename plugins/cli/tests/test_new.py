from __future__ import annotations

import ast
import inspect
import pkgutil
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import pytest

from nexus_connector import contracts
from nexus_connector.testing.emulator import Answer, VendorEmulator
from nexus_connector_cli._new.command import DOMAINS, KINDS

ALL = [
    *[("plugin", "slow_calls", "--kind", kind) for kind in KINDS],
    *[("adapter", "acme-pay", "--domain", domain) for domain in DOMAINS],
]
every = pytest.mark.parametrize("arguments", ALL, ids=[arguments[-1] for arguments in ALL])
LONGEST = 20


def written(nexus, arguments, folder="begun"):
    """The folder that the command wrote."""
    ran = nexus("new", *arguments, "--output", folder)
    assert ran.code == 0, ran.err
    return Path(folder)


def functions(file):
    """The functions and methods of a file."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def core_with_contract(domain):
    """The protocol of a domain, or nothing for a module that has none."""
    return getattr(import_module(f"nexus_connector.contracts.{domain}"), f"{domain.capitalize()}Adapter", None)


@every
def test_what_is_written_passes_its_own_tests(nexus, arguments):
    """Rendered, and not touched, each passes its tests in a process of its own, every warning an error."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    begun = written(nexus, arguments)
    ran = subprocess.run(command, cwd=begun, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "skipped" not in ran.stdout


@every
def test_every_test_of_it_states_its_rule(nexus, arguments):
    """The tests to begin with are examples: each has a docstring, and there are some of its own beside a suite."""
    begun = written(nexus, arguments)
    tests = [each for file in begun.glob("tests/test_*.py") for each in functions(file) if each.name[:5] == "test_"]
    assert len(tests) > 5
    assert [test.name for test in tests if ast.get_docstring(test) is None] == []


@every
def test_it_is_a_complete_distribution(nexus, arguments):
    """Named, typed, licensed and documented, with its entry point, the core's range, and the settings of its tools."""
    begun = written(nexus, arguments)
    what, name = arguments[:2]
    package = "nexus_connector_" + name.replace("-", "_")
    settings = tomllib.loads((begun / "pyproject.toml").read_text(encoding="utf-8"))
    project, tools = settings["project"], settings["tool"]
    group = {"plugin": "nexus_connector.plugins", "adapter": "nexus_connector.vendors"}[what]
    entry = {"plugin": "plugin", "adapter": "AcmePayServiceAdapter"}[what]
    assert project["name"] == "nexus-connector-" + name.replace("_", "-")
    assert project["entry-points"] == {group: {name: f"{package}:{entry}"}}
    assert project["dependencies"][0].startswith("nexus-connector>=0.")
    assert settings["build-system"]["build-backend"] == "hatchling.build"
    assert tools["hatch"]["build"]["targets"]["wheel"]["packages"] == [f"src/{package}"]
    assert tools["mypy"]["strict"] is True
    assert tools["pytest"]["ini_options"]["filterwarnings"] == ["error"]
    assert tools["pytest"]["ini_options"]["pythonpath"] == ["src"]
    assert (begun / "src" / package / "py.typed").is_file()
    assert "MIT License" in (begun / "LICENSE").read_text(encoding="utf-8")
    readme = (begun / "README.md").read_text(encoding="utf-8")
    assert readme.startswith(f"# {project['name']}\n\n{project['description']}\n")


@every
def test_the_longest_name_fits_into_the_lines(nexus, arguments):
    """Whatever the name, no line of Python is longer than 120 signs, and every file can be read."""
    what, _, *options = arguments
    begun = written(nexus, (what, "a" * LONGEST, *options))
    for file in begun.rglob("*.py"):
        assert max(map(len, file.read_text(encoding="utf-8").splitlines()), default=0) <= 120, file
        assert functions(file) is not None


def test_every_domain_can_be_begun():
    """Each contract of the core has a template, and each template a contract."""
    found = {each.name for each in pkgutil.iter_modules(contracts.__path__) if core_with_contract(each.name)}
    assert found == set(DOMAINS)


@pytest.mark.parametrize("domain", DOMAINS)
def test_an_adapter_has_every_method_of_its_contract(nexus, domain):
    """An author removes what his vendor cannot do, and discovers nothing else; what he has to look up is marked."""
    begun = written(nexus, ("adapter", "acme", "--domain", domain))
    sources = {file.name: file for file in begun.glob("src/*/*.py")}
    wanted = {name for name, _ in inspect.getmembers(core_with_contract(domain), inspect.isfunction) if name[0] != "_"}
    assert wanted <= {each.name for each in functions(sources["_adapter.py"])}
    for name in ("_adapter.py", "_answers.py", "_options.py", "_payload.py"):
        assert "# Look up" in sources[name].read_text(encoding="utf-8"), name
    assert "NotSupportedError(" in "".join(file.read_text(encoding="utf-8") for file in sources.values())


def test_an_adapter_is_usable_from_a_configuration(nexus, shell, config, monkeypatch):
    """``adapter = "package.module:Class"`` with its folder on the path is all it takes: nothing is installed."""
    begun = written(nexus, ("adapter", "acme", "--domain", "email"))
    [package] = begun.resolve().glob("src/*")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv("ACME_API_KEY", "key-of-a-test")
    with VendorEmulator() as vendor:
        vendor.on("POST /v1/messages", Answer(202, json={"id": "m-1", "status": "queued"}))
        config(f"""
            [domains.email]
            service = "acme"
            sender = "billing@example.com"
            [services.acme]
            adapter = "{package.name}:AcmeServiceAdapter"
            base_url = "{vendor.url}"
        """)
        ran = shell("call", "email.send_transactional_email", "recipient=ada@example.com", "subject=Hi", "text=Hi")
        assert ran.code == 0, ran.err
        assert vendor.arrivals[0].headers["Authorization"] == "Bearer key-of-a-test"
    assert "m-1" in ran.out


def test_the_folder_is_named_after_the_distribution(nexus, folder):
    """Without --output it is ./nexus-connector-NAME; what was written is listed, and what to do next is said."""
    ran = nexus("new", "plugin", "slow_calls")
    begun = folder / "nexus-connector-slow-calls"
    listed = [line.strip() for line in ran.out.splitlines()[1:]]
    assert ran.out.splitlines()[0] == begun.name
    assert listed == sorted(file.relative_to(begun).as_posix() for file in begun.rglob("*") if file.is_file())
    assert f"cd {begun.name} && python -m pytest" in ran.err


def test_json_lists_the_files(nexus, folder):
    """--json: one document with the folder and its files."""
    ran = nexus("new", "adapter", "acme", "--domain", "payments", "--output", "sub/of", "--json")
    assert ran.json["folder"] == str(Path("sub/of"))
    assert "README.md" in ran.json["files"]
    assert all((folder / "sub" / "of" / name).is_file() for name in ran.json["files"])


def test_an_empty_folder_is_taken(nexus, folder):
    """A folder that holds nothing is as good as none."""
    folder.joinpath("begun").mkdir()
    assert written(nexus, ("plugin", "slow_calls")).joinpath("pyproject.toml").is_file()


@pytest.mark.parametrize("there", ["a file", "a folder", "a broken link"])
def test_nothing_is_overwritten(nexus, folder, there):
    """A folder that holds something, a file and a link are refused, and stay as they are."""
    place = folder / "begun"
    if there == "a file":
        place.write_text("mine")
    elif there == "a broken link":
        place.symlink_to(folder / "gone")
    else:
        place.mkdir()
        place.joinpath("mine").write_text("mine")
    before = sorted(folder.rglob("*"))
    ran = nexus("new", "plugin", "slow_calls", "--output", "begun")
    assert (ran.code, ran.out) == (2, "")
    assert "begun is there already" in ran.err
    assert "--output" in ran.err
    assert sorted(folder.rglob("*")) == before


def test_a_folder_that_cannot_be_written_is_told(nexus, folder):
    """What the system refuses is exit 1, with its reason and what to do, without traceback."""
    folder.joinpath("file").write_text("")
    ran = nexus("new", "plugin", "slow_calls", "--output", "file/begun")
    assert (ran.code, ran.out) == (1, "")
    assert "cannot be written (" in ran.err
    assert "--output" in ran.err


@pytest.mark.parametrize(
    ("what", "name", "text"),
    [
        ("plugin", "Slow-Calls", "as 'slow_calls'"),
        ("plugin", "nexus-connector-slow", "as 'slow'"),
        ("plugin", "slow__calls", "as 'slow_calls'"),
        ("plugin", "2fast", "as 'fast'"),
        ("plugin", "größe", f"at most {LONGEST} signs.\n"),
        ("plugin", "", "cannot be the name of a plugin"),
        ("plugin", "../evil", "as 'evil'"),
        ("plugin", "slow\n", "as 'slow'"),
        ("plugin", "a" * (LONGEST + 1), f"at most {LONGEST} signs.\n"),
        ("plugin", "base_url", "a service has a key of that name"),
        ("plugin", "endpoints", "a service has a key of that name"),
        ("plugin", "only", "[plugins] has a key of that name"),
        ("plugin", "region", "a part of the core's chain has that name"),
        ("plugin", "send", "a part of the core's chain has that name"),
        ("plugin", "cli", "one of that name is installed"),
        ("vendor", "Acme Pay", "as 'acme-pay'"),
        ("vendor", "acme_pay", "as 'acme-pay'"),
        ("vendor", "7", "cannot be the name of a vendor"),
    ],
)
def test_a_bad_name_is_refused(nexus, folder, what, name, text):
    """A name that has no place, or is taken, is wrong usage: why, and what to write instead; nothing is written."""
    rest = ["plugin", name] if what == "plugin" else ["adapter", name, "--domain", "email"]
    ran = nexus("new", *rest)
    assert (ran.code, ran.out) == (2, "")
    assert text in ran.err
    assert list(folder.iterdir()) == []


def test_an_installed_vendor_is_not_begun_again(nexus, install):
    """Two distributions of one name could not be used together: the installed one is named."""
    install("acme", "", vendors="acme = app_of_acme:X")
    ran = nexus("new", "adapter", "acme", "--domain", "email")
    assert ran.code == 2
    assert "one of that name is installed (acme)" in ran.err


@pytest.mark.parametrize(("domain", "text"), [("emial", "Did you mean 'email'?"), ("xyzzy", "Domains: email, ")])
def test_an_unknown_domain_names_the_nearest(nexus, folder, domain, text):
    """A domain that the core has no contract for is wrong usage."""
    ran = nexus("new", "adapter", "acme", "--domain", domain)
    assert (ran.code, ran.out) == (2, "")
    assert text in ran.err
    assert list(folder.iterdir()) == []


def test_an_unknown_kind_lists_the_known(nexus):
    """So is a kind of plugin that there is no template for."""
    ran = nexus("new", "plugin", "slow_calls", "--kind", "store")
    assert ran.code == 2
    assert all(kind in ran.err for kind in KINDS)


@pytest.mark.parametrize(("root", "is_member"), [("nexus-connector", True), ("of-a-user", False)])
@pytest.mark.parametrize("place", ["plugins", "contrib", "elsewhere"])
def test_a_member_of_the_repository_shares_its_settings(nexus, folder, root, is_member, place):
    """Below plugins/ or contrib/ of this project's repository, tools are set up and the licence stands at its root."""
    folder.joinpath("pyproject.toml").write_text(f'[project]\nname = "{root}"\n')
    ran = nexus("new", "plugin", "slow", "--output", f"{place}/slow")
    begun = folder / place / "slow"
    settings = tomllib.loads((begun / "pyproject.toml").read_text(encoding="utf-8"))
    shares = is_member and place != "elsewhere"
    assert (set(settings["tool"]) == {"hatch"}) is shares
    assert begun.joinpath("LICENSE").exists() is not shares
    assert settings["project"]["authors"] == [{"name": f"nexus-connector{'' if shares else '-slow'} contributors"}]
    assert ("CONTRIBUTING.md" in ran.err) is shares
    assert ("Work on it" in begun.joinpath("README.md").read_text(encoding="utf-8")) is not shares


def test_templates_are_no_files_of_this_package():
    """Nothing that lints, types or collects this repository may take a template for a module."""
    templates = Path(str(files("nexus_connector_cli._new") / "templates"))
    found = [file for file in templates.rglob("*") if file.is_file()]
    assert len(found) > 30
    assert {file.suffix for file in found} == {".tmpl"}


def test_help_says_what_there_is(nexus):
    """Each of the two has its help, with what may be chosen."""
    text = nexus("new", "--help").out
    assert "plugin" in text
    assert "adapter" in text
    assert "hook" in nexus("new", "plugin", "--help").out
    assert "email or payments" in nexus("new", "adapter", "--help").out
