"""tokens and orgs; and what every command has in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .server import Canned, minted

if TYPE_CHECKING:
    from pathlib import Path

    from .server import Portico
    from .terminal import Machine


def test_tokens_list_reads_every_page(machine: Machine, portico: Portico, token: str) -> None:
    for number in range(4):
        portico.token(name=f"token {number}")
    done = machine.run("tokens", "list")
    assert done.code == 0
    assert len(done.out.splitlines()) == 6
    assert "in use here" in done.out
    assert len(machine.run("tokens", "list", "--json").told["items"]) == 5


def test_tokens_create_prints_the_token_and_nothing_else(machine: Machine, portico: Portico, token: str) -> None:
    done = machine.run(
        "tokens", "create", "ci", "--scope", "read:org", "--scope", "read:self", "--expires-in-days", "3"
    )
    assert done.code == 0
    made = done.out.removesuffix("\n")
    assert portico.tokens[made]["name"] == "ci"
    assert "not shown again" in done.err
    assert portico.seen[-1].body == {"name": "ci", "scopes": ["read:org", "read:self"], "expires_in_days": 3}
    assert machine.run("whoami", PORTICO_TOKEN=made).code == 0


def test_tokens_create_as_json_has_the_token_once(machine: Machine, portico: Portico, token: str) -> None:
    done = machine.run("tokens", "create", "ci", "--json")
    assert done.told["token"] in portico.tokens
    assert done.told["api_token"]["name"] == "ci"
    assert done.out.count(done.told["token"]) == 1


def test_tokens_revoke_ends_another_token(machine: Machine, portico: Portico, token: str) -> None:
    other = portico.token(name="old")
    done = machine.run("tokens", "revoke", portico.tokens[other]["id"])
    assert done.code == 0
    assert portico.tokens[other]["revoked_at"]
    assert machine.run("whoami").code == 0
    assert machine.run("tokens", "revoke", portico.tokens[other]["id"]).code == 0


@pytest.mark.parametrize("named", ["current", "t1"])
def test_tokens_revoke_of_the_one_in_use_signs_out(machine: Machine, portico: Portico, token: str, named: str) -> None:
    done = machine.run("tokens", "revoke", named)
    assert done.code == 0
    assert "signed out" in done.err
    assert machine.run("whoami").code == 4
    assert not machine.token_file.exists()


def test_tokens_revoke_of_the_environment_s_leaves_the_kept_one(machine: Machine, portico: Portico, token: str) -> None:
    other = portico.token(name="ci")
    assert machine.run("tokens", "revoke", "current", PORTICO_TOKEN=other).code == 0
    assert portico.tokens[other]["revoked_at"]
    assert machine.run("whoami").code == 0


@pytest.mark.parametrize("named", ["nope", "../whoami", "..", ".", "", "a/b", "%2e%2e", "x" * 300, "a?b#c"])
def test_an_id_that_is_none_leads_nowhere_else(machine: Machine, portico: Portico, token: str, named: str) -> None:
    assert machine.run("tokens", "revoke", "--", named).code in {2, 6}
    assert all(seen.path.startswith("/tokens/") and seen.path.count("/") == 2 for seen in portico.seen)


@pytest.mark.parametrize("named", [[], ["current"], ["t1"]])
def test_tokens_rotate_keeps_the_new_one(machine: Machine, portico: Portico, token: str, named: list[str]) -> None:
    done = machine.run("tokens", "rotate", *named)
    assert done.code == 0
    new = next(reversed(portico.tokens))
    assert new[:8] in done.out
    assert new not in done.out + done.err
    assert machine.run("whoami").code == 0
    assert portico.tokens[token]["revoked_at"]
    assert machine.run("status", "--json").told["token"]["prefix"] == new[:8]


def test_tokens_rotate_of_another_one_wants_a_file(
    machine: Machine, portico: Portico, token: str, tmp_path: Path
) -> None:
    other = portico.token(name="ci")
    named = portico.tokens[other]["id"]
    assert machine.run("tokens", "rotate", named).code == 2
    assert portico.tokens[other]["revoked_at"] is None
    file = tmp_path / "new"
    done = machine.run("tokens", "rotate", named, "--output", str(file))
    assert done.code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert portico.tokens[file.read_text().strip()]["name"] == "ci"
    assert file.read_text().strip() not in done.out + done.err
    assert machine.run("whoami").code == 0


def test_tokens_rotate_overwrites_no_file(machine: Machine, portico: Portico, token: str, tmp_path: Path) -> None:
    other = portico.token(name="ci")
    file = tmp_path / "there"
    file.write_text("precious")
    done = machine.run("tokens", "rotate", "current", "--output", str(file), PORTICO_TOKEN=other)
    assert done.code == 14
    assert file.read_text() == "precious"
    assert portico.tokens[other]["revoked_at"] is None


def test_tokens_rotate_that_fails_leaves_no_file(
    machine: Machine, portico: Portico, token: str, tmp_path: Path
) -> None:
    done = machine.run("tokens", "rotate", "nope", "--output", str(tmp_path / "new"))
    assert done.code == 6
    assert not (tmp_path / "new").exists()


def test_tokens_rotate_wants_a_place_before_it_rotates(machine: Machine, portico: Portico, token: str) -> None:
    (machine.folder / "tokens" / ".try-default").mkdir()
    assert machine.run("tokens", "rotate").code == 14
    assert portico.seen == []


def test_orgs_list_says_the_role(machine: Machine, portico: Portico, token: str) -> None:
    portico.organizations = [{"id": f"o{n}", "name": f"Größe {n}", "role": "member" if n else None} for n in range(5)]
    done = machine.run("orgs", "list")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].split() == ["Id", "Name", "Your", "role"]
    assert lines[2] == "o1  Größe 1  member"
    assert len(lines) == 6
    assert machine.run("orgs", "list", "--json").told["items"][0]["name"] == "Größe 0"


def test_an_empty_list_is_said_beside_the_result(machine: Machine, portico: Portico, token: str) -> None:
    done = machine.run("orgs", "list")
    assert (done.code, done.out) == (0, "")
    assert "no organisations" in done.err


def test_json_is_everywhere(machine: Machine, portico: Portico, token: str) -> None:
    portico.config("acme")
    for command in (
        ["whoami"],
        ["status"],
        ["profiles", "list"],
        ["tokens", "list"],
        ["tokens", "rotate"],
        ["orgs", "list"],
        ["saml", "list"],
        ["saml", "show", "acme"],
        ["tokens", "revoke", "current"],
    ):
        done = machine.run(*command, "--json")
        assert done.code == 0, command
        assert isinstance(done.told, dict)
    again = portico.token()
    assert machine.run("login", "--json", "--with-token", stdin=again).told["host"] == portico.url
    assert machine.run("--json", "logout", "--revoke").told["revoked"] is True


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["nonsense"],
        ["tokens"],
        ["tokens", "revoke"],
        ["whoami", "--nonsense"],
        ["whoami", "too", "much"],
        ["tokens", "create", "x", "--expires-in-days", "0"],
        ["tokens", "create", "x", "--expires-in-days", "soon"],
        ["--timeout", "0", "whoami"],
        ["--timeout", "nan", "whoami"],
        ["--timeout", "1e9", "whoami"],
        ["saml", "show"],
    ],
)
def test_wrong_use_is_two_lines_or_one_object(machine: Machine, token: str, args: list[str]) -> None:
    done = machine.run(*args)
    assert done.code == 2
    assert done.out == ""
    assert len(done.err.splitlines()) == 2
    told = machine.run(*args, "--json")
    assert told.code == 2
    assert told.error["exit_code"] == 2
    assert told.error["cure"]


def test_what_follows_two_hyphens_is_no_option(machine: Machine, token: str) -> None:
    done = machine.run("tokens", "revoke", "--", "--json")
    assert done.code == 6
    assert not done.err.startswith("{")


def test_a_token_among_the_arguments_is_not_repeated(machine: Machine, token: str) -> None:
    for args in (
        ["login", token],
        ["whoami", f"--{token}"],
        [token],
        ["tokens", "revoke", token],
        ["--host", token, "status"],
    ):
        for more in ([], ["--json"]):
            done = machine.run(*args, *more)
            assert done.code != 0
            assert token not in done.out + done.err


def test_help_and_version_and_completion(machine: Machine) -> None:
    assert machine.run("--version").out.startswith("portico-cli ")
    for command in ([], ["login"], ["tokens"], ["tokens", "rotate"], ["saml", "apply"]):
        done = machine.run(*command, "--help")
        assert done.code == 0
        assert done.out.startswith("Usage: portico")
    assert (
        "_PORTICO_COMPLETE"
        in machine.run("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1").out
    )
    done = machine.run(_PORTICO_COMPLETE="complete_bash", COMP_WORDS="portico log", COMP_CWORD="1")
    assert done.out.split() == ["login", "logout"]


@pytest.mark.parametrize(
    ("status", "code", "exit_code", "cure"),
    [
        (400, "malformed", 11, "portico --version"),
        (401, "token_unknown", 4, "portico login"),
        (401, "token_expired", 4, "portico login"),
        (401, "owner_inactive", 4, "administrator"),
        (401, "idp_disabled", 4, "administrator"),
        (401, "sign_in_needed", 4, "Acme Okta"),
        (403, "scope_missing", 5, "read:self"),
        (403, "not_allowed", 5, "administrator"),
        (404, "not_found", 6, "id"),
        (405, "method_not_allowed", 9, "fit together"),
        (409, "conflict", 7, "try again"),
        (412, "precondition_failed", 7, "saml diff"),
        (413, "too_large", 11, "less"),
        (415, "unsupported_media_type", 11, "fit together"),
        (422, "invalid", 11, "Correct"),
        (428, "precondition_required", 7, "again"),
        (429, "too_many", 12, "17 seconds"),
        (500, "broken", 9, "later"),
        (418, "teapot", 9, "later"),
    ],
)
def test_each_problem_has_its_exit_code_and_its_cure(
    machine: Machine, portico: Portico, token: str, status: int, code: str, exit_code: int, cure: str
) -> None:
    portico.answer(
        "GET",
        "/whoami",
        code,
        status,
        "What {happened} here.",
        idp="Acme Okta",
        scope="read:self",
        headers={"Retry-After": "17"},
    )
    done = machine.run("whoami")
    assert done.code == exit_code
    said, told = done.err.splitlines()
    assert said == "What {happened} here."
    assert cure in told
    as_json = machine.run("whoami", "--json")
    assert as_json.code == exit_code
    assert as_json.error["code"] == code
    assert as_json.error["status"] == status
    assert as_json.out == ""


def test_what_is_wrong_with_each_value_is_told(machine: Machine, portico: Portico, token: str) -> None:
    errors = [{"field": f"f{n}", "message": "must be another"} for n in range(9)]
    portico.answer("POST", "/tokens", "invalid", 422, "Some values are wrong.", errors=errors)
    done = machine.run("tokens", "create", "x")
    assert "f0: must be another" in done.err
    assert "and 4 more" in done.err
    assert machine.run("tokens", "create", "x", "--json").error["errors"] == errors


def test_a_new_token_that_is_none_is_not_believed(machine: Machine, portico: Portico, token: str) -> None:
    for body in (b"{}", b"[]", b'{"token": 5}', b'{"token": "ptc_short"}', minted("x").encode()):
        portico.canned["POST", "/tokens"] = Canned(201, body)
        done = machine.run("tokens", "create", "x")
        assert done.code == 9
        assert done.out == ""
