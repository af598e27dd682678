from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain", "crm"],
        ["plugins"],
        ["status"],
        ["doctor"],
        ["schema"],
        ["call", "crm", "GET", "/echo"],
        ["call", "crm", "GET", "/missing"],
        ["explain", "0" * 26],
    ],
)
@pytest.mark.parametrize("extra", [[], ["--json"], ["--debug"]])
def test_no_command_shows_a_secret(nexus, crm, canary, arguments, extra):
    """Whatever is asked, and however it ends, the secret of the configuration is in no output."""
    ran = nexus(*extra, *arguments) if extra == ["--debug"] else nexus(*arguments, *extra)
    assert ran.out + ran.err
    assert canary not in ran.out + ran.err


@pytest.mark.parametrize(
    "arguments",
    [["explain", "crm"], ["plugins"], ["status"], ["doctor"], ["schema"], ["call", "crm", "GET", "/orders/7"]],
)
def test_json_of_each_report_is_one_document(nexus, crm, arguments):
    """--json makes standard output one JSON document, and nothing else."""
    ran = nexus(*arguments, "--json")
    assert ran.code == 0
    assert isinstance(ran.json, dict)
