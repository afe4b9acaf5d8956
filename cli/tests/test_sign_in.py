"""login, logout, whoami, status, profiles: with pipes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .conftest import signed_in
from .server import Portico, minted, running

if TYPE_CHECKING:
    from pathlib import Path

    from .terminal import Machine


def test_a_token_from_standard_input_signs_in(machine: Machine, portico: Portico) -> None:
    token = portico.token()
    done = machine.run("login", "--host", portico.url, "--with-token", stdin=f"\n  {token} \r\n")
    assert done.code == 0
    assert f"Signed in to {portico.url} as Ann <ann@acme.example>." in done.out
    assert token[:8] in done.out
    assert token not in done.out + done.err
    assert machine.run("whoami").code == 0
    assert portico.seen[-1].headers["authorization"] == f"Bearer {token}"


def test_what_login_writes_is_what_other_versions_will_find(machine: Machine, portico: Portico) -> None:
    token = portico.token()
    machine.run("login", "--host", portico.url, "--with-token", stdin=token)
    assert json.loads(machine.profile_file.read_text()) == signed_in(portico, token)
    assert json.loads(machine.token_file.read_text()) == {"host": portico.url, "token": token}


def test_a_token_as_an_option_signs_in_with_a_warning(machine: Machine, portico: Portico) -> None:
    token = portico.token()
    done = machine.run("login", "--host", portico.url, "--token", token)
    assert done.code == 0
    assert "list of processes" in done.err
    assert token not in done.out + done.err
    assert machine.run("whoami").code == 0


def test_the_token_in_the_environment_is_kept_by_login(machine: Machine, portico: Portico) -> None:
    token = portico.token()
    assert machine.run("login", "--host", portico.url, PORTICO_TOKEN=f" {token}\n").code == 0
    assert machine.run("whoami").code == 0


def test_another_token_than_the_environment_s_is_kept_with_a_warning(machine: Machine, portico: Portico) -> None:
    other, token = portico.token(name="ci"), portico.token()
    done = machine.run("login", "--host", portico.url, "--with-token", stdin=token, PORTICO_TOKEN=other)
    assert "PORTICO_TOKEN is set, and wins" in done.err
    assert machine.run("status", "--json").told["token"]["prefix"] == token[:8]


def test_the_token_in_the_environment_wins_over_the_kept_one(machine: Machine, portico: Portico, token: str) -> None:
    portico.person("bob@acme.example", "Bob")
    bobs = portico.token("bob@acme.example", "ci")
    done = machine.run("whoami", PORTICO_TOKEN=bobs)
    assert "bob@acme.example" in done.out
    assert "ann@acme.example" in machine.run("whoami").out


def test_the_environment_alone_is_enough(machine: Machine, portico: Portico) -> None:
    done = machine.run("whoami", PORTICO_TOKEN=portico.token(), PORTICO_HOST=portico.url)
    assert done.code == 0
    assert not machine.folder.exists()


def test_a_token_without_a_host_is_told_what_is_missing(machine: Machine) -> None:
    done = machine.run("whoami", PORTICO_TOKEN=minted("x"))
    assert done.code == 2
    assert "no host was named" in done.err


@pytest.mark.parametrize(
    ("pasted", "why"),
    [
        ("", "there is nothing"),
        ("hello", "does not begin with ptc_"),
        (minted("a")[:-1], "49 characters"),
        (minted("a") + "x", "51 characters"),
        (minted("a").replace(minted("a")[9], "-", 1), "neither a letter"),
        (minted("a")[:10] + ("b" if minted("a")[10] != "b" else "c") + minted("a")[11:], "checksum"),
        (minted("a")[:30] + " " + minted("a")[31:], "neither a letter"),
        ("ptc_" + "é" * 46, "neither a letter"),
    ],
)
def test_a_mistyped_token_is_told_without_a_request(machine: Machine, portico: Portico, pasted: str, why: str) -> None:
    done = machine.run("login", "--host", portico.url, "--with-token", stdin=pasted)
    assert done.code == 4
    assert why in done.err
    assert len(done.err.splitlines()) == 2
    assert not pasted or pasted not in done.err
    assert machine.run("whoami", "--host", portico.url, PORTICO_TOKEN=pasted or "x").code == 4
    assert portico.seen == []


def test_bytes_that_are_no_text_are_no_token(machine: Machine, portico: Portico) -> None:
    assert machine.run("login", "--host", portico.url, "--with-token", stdin=b"\xff\xfe\x00").code == 4


def test_a_token_that_the_server_refuses_is_not_kept(machine: Machine, portico: Portico) -> None:
    done = machine.run("login", "--host", portico.url, "--with-token", stdin=minted("unknown"))
    assert done.code == 4
    assert "not known here" in done.err
    assert machine.run("status", "--host", portico.url).code == 4


def test_a_token_that_may_not_say_whose_it_is_is_good_enough(machine: Machine, portico: Portico) -> None:
    token = portico.token(scopes=["admin:saml"])
    done = machine.run("login", "--host", portico.url, "--with-token", stdin=token)
    assert done.code == 0
    assert "somebody this token may not name" in done.out


def test_ways_to_sign_in_do_not_mix(machine: Machine, portico: Portico) -> None:
    done = machine.run("login", "--host", portico.url, "--with-token", "--email", "ann@acme.example", stdin="x")
    assert done.code == 2
    assert "do not go together" in done.err


def test_a_password_is_asked_for_at_a_terminal_only(machine: Machine, portico: Portico) -> None:
    done = machine.run("login", "--host", portico.url, stdin="ann@acme.example\nsecret\n")
    assert done.code == 2
    assert "no terminal" in done.err
    assert f"{portico.url}/profile/tokens/" in done.err
    assert portico.seen == []


def test_login_wants_a_host(machine: Machine) -> None:
    done = machine.run("login", "--with-token", stdin=minted("x"))
    assert done.code == 2
    assert "--host" in done.err


def test_whoami_says_who_and_what(machine: Machine, token: str) -> None:
    out = machine.run("whoami").out
    for expected in ("Ann <ann@acme.example>", "analyst", "Acme (admin)", "Main (Acme)", "auditor", "shop.example"):
        assert expected in out


def test_whoami_as_json_is_what_the_server_says(machine: Machine, token: str) -> None:
    done = machine.run("whoami", "--json")
    assert done.told["user"]["email"] == "ann@acme.example"
    assert done.err == ""


def test_nobody_is_signed_in_at_first(machine: Machine, portico: Portico) -> None:
    for command in (["whoami"], ["status"], ["logout"], ["tokens", "list"], ["orgs", "list"], ["saml", "list"]):
        done = machine.run(*command)
        assert done.code == 4, command
        assert "portico login" in done.err
        assert machine.run(*command, "--host", portico.url).code == 4


def test_status_says_host_place_end_and_beginning(machine: Machine, portico: Portico, token: str) -> None:
    done = machine.run("status")
    assert done.code == 0
    tokens_file = machine.token_file
    for expected in (portico.url, "default", "2099-01-01", token[:8], str(tokens_file), "Ann"):
        assert expected in done.out
    assert portico.seen == []


def test_status_checks_when_asked(machine: Machine, portico: Portico, token: str) -> None:
    assert machine.run("status", "--check", "--json").told["works"] is True
    portico.tokens[token]["revoked_at"] = "2026-01-02T00:00:00Z"
    done = machine.run("status", "--check", "--json")
    assert done.code == 4
    assert done.told["works"] is False
    assert done.error["code"] == "token_revoked"


def test_status_of_an_ended_token_says_so(machine: Machine, portico: Portico) -> None:
    old = portico.token(expires_at="2020-01-01T00:00:00Z")
    machine.run("login", "--host", portico.url, "--with-token", stdin=old)
    assert "it has ended" in machine.run("status").out


def test_status_of_the_environment_tells_no_stranger_s_name(machine: Machine, portico: Portico, token: str) -> None:
    other = portico.token(name="ci")
    done = machine.run("status", "--json", PORTICO_TOKEN=other)
    assert done.told["token"]["kept"] == "environment"
    assert done.told["token"]["prefix"] == other[:8]
    assert done.told["token"]["name"] == ""


def test_logout_forgets_the_token_and_leaves_it_alive(machine: Machine, portico: Portico, token: str) -> None:
    done = machine.run("logout")
    assert done.code == 0
    assert "still work" in done.out
    assert portico.seen == []
    assert not machine.token_file.exists()
    assert machine.run("whoami").code == 4
    assert machine.run("logout").code == 4


def test_logout_revokes_when_asked(machine: Machine, portico: Portico, token: str) -> None:
    assert machine.run("logout", "--revoke").code == 0
    assert portico.tokens[token]["revoked_at"]
    assert machine.run("whoami").code == 4


def test_logout_revokes_what_has_ended_already(machine: Machine, portico: Portico, token: str) -> None:
    portico.tokens[token]["revoked_at"] = "2026-01-02T00:00:00Z"
    assert machine.run("logout", "--revoke").code == 0
    assert not machine.token_file.exists()


def test_logout_that_cannot_revoke_forgets_nothing(machine: Machine, portico: Portico, token: str) -> None:
    portico.answer("DELETE", "/tokens/current", "broken", 500, "Something broke.")
    assert machine.run("logout", "--revoke").code == 9
    assert machine.run("whoami").code == 0


def test_logout_does_not_guess_which_token_to_revoke(machine: Machine, portico: Portico, token: str) -> None:
    other = portico.token(name="ci")
    assert machine.run("logout", "--revoke", PORTICO_TOKEN=other).code == 2
    done = machine.run("logout", PORTICO_TOKEN=other)
    assert done.code == 0
    assert "PORTICO_TOKEN is still set" in done.err


def test_after_logout_the_host_is_remembered(machine: Machine, portico: Portico, token: str) -> None:
    machine.run("logout")
    assert machine.run("login", "--with-token", stdin=token).code == 0


def test_the_token_before_is_named_when_it_is_replaced(machine: Machine, portico: Portico, token: str) -> None:
    other = portico.token(name="second")
    done = machine.run("login", "--with-token", stdin=other)
    assert "portico tokens revoke t1" in done.err


def test_two_profiles_have_two_tokens(machine: Machine, portico: Portico, token: str) -> None:
    with running() as second:
        second.person("zoe@other.example", "Zoe")
        machine.run(
            "login", "--host", second.url, "--profile", "other", "--with-token", stdin=second.token("zoe@other.example")
        )
        assert "Zoe" in machine.run("whoami", "--profile", "other").out
        assert "Zoe" in machine.run("--profile", "other", "whoami").out
        assert "Zoe" in machine.run("whoami", PORTICO_PROFILE="other").out
        assert "Zoe" in machine.run("whoami", "--host", second.url).out
        assert "Ann" in machine.run("whoami").out
        assert "Ann" in machine.run("whoami", "--profile", "default", PORTICO_PROFILE="other").out
        rows = machine.run("profiles", "list", "--json").told["items"]
        assert [row["profile"] for row in rows] == ["default", "other"]
        assert "Zoe" in machine.run("profiles", "list").out


def test_a_second_host_gets_a_profile_of_its_own(machine: Machine, portico: Portico, token: str) -> None:
    with running() as second:
        second.person()
        done = machine.run("login", "--host", second.url, "--with-token", "--json", stdin=second.token())
        assert done.told["profile"] == second.url.removeprefix("http://").replace(":", "-")
        assert machine.run("whoami", "--host", second.url).code == 0
        assert machine.run("whoami").code == 0


def test_a_token_never_goes_to_another_host_than_its_own(machine: Machine, portico: Portico, token: str) -> None:
    with running() as second:
        for args in (["--host", second.url], ["--host", second.url, "--profile", "default"]):
            assert machine.run("whoami", *args).code == 4
            assert machine.run("whoami", *args[2:], PORTICO_HOST=second.url).code == 4
        assert second.seen == []


def test_a_profile_that_is_signed_in_is_not_moved(machine: Machine, portico: Portico, token: str) -> None:
    with running() as second:
        args = ["login", "--host", second.url, "--profile", "default", "--with-token"]
        done = machine.run(*args, stdin=second.token())
        assert done.code == 2
        assert "is signed in to" in done.err
        machine.run("logout")
        second.person()
        assert machine.run(*args, stdin=second.token()).code == 0


def test_several_profiles_of_one_host_must_be_told_apart(machine: Machine, portico: Portico) -> None:
    for name in ("a", "b"):
        machine.run("login", "--host", portico.url, "--profile", name, "--with-token", stdin=portico.token(name=name))
    done = machine.run("whoami", "--host", portico.url)
    assert done.code == 2
    assert "--profile" in done.err
    assert "--profile a, b" in machine.run("whoami").err


@pytest.mark.parametrize("name", ["../x", "A", "", " ", ".hidden", "x" * 65, "a/b", "a\x1b"])
def test_a_profile_s_name_cannot_leave_its_folder(machine: Machine, portico: Portico, name: str) -> None:
    done = machine.run("login", "--host", portico.url, "--profile", name or "é", "--with-token", stdin=minted("x"))
    assert done.code == 2
    assert "profile's name" in done.err


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"host": 5}', '{"host": "http://evil.example"}', "\xff", '"x"', "[" * 50_000]
)
def test_a_damaged_profile_is_told(machine: Machine, token: str, text: str) -> None:
    machine.profile_file.write_bytes(text.encode("latin-1"))
    done = machine.run("whoami")
    assert done.code == 14
    assert len(done.err.splitlines()) == 2


def test_settings_live_where_the_platform_has_them(machine: Machine, portico: Portico, tmp_path: Path) -> None:
    machine.env = {"PORTICO_CONFIG_DIR": "", "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    machine.run("login", "--host", portico.url, "--with-token", stdin=portico.token())
    assert (tmp_path / "xdg" / "portico" / "profiles" / "default.json").exists()
    machine.env = {"PORTICO_CONFIG_DIR": "", "XDG_CONFIG_HOME": "not/absolute"}
    machine.run("login", "--host", portico.url, "--with-token", stdin=portico.token())
    assert (tmp_path / ".config" / "portico" / "profiles" / "default.json").exists()
    assert (tmp_path / "xdg" / "portico").stat().st_mode & 0o777 == 0o700
