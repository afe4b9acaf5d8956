"""saml list, show, diff, apply: configurations as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .server import Canned

if TYPE_CHECKING:
    from pathlib import Path

    from .server import Portico
    from .terminal import Machine

METADATA = '<EntityDescriptor entityID="https://idp.example"/>'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "saml" / "acme.yaml"


def write(path: Path, text: str) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return str(path)


def puts(portico: Portico) -> list[str]:
    """The configurations that were really written."""
    return [seen.path for seen in portico.seen if seen.method == "PUT" and "dry_run" not in seen.query]


def test_list_shows_each(machine: Machine, portico: Portico, token: str) -> None:
    for slug in ("acme", "beta", "corp"):
        portico.config(slug, domains=[{"domain": f"{slug}.example", "verified": True}], entity_id="urn:x")
    done = machine.run("saml", "list")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()] == ["Slug", "acme", "beta", "corp"]
    assert "beta.example" in done.out


def test_a_new_configuration_is_made(machine: Machine, portico: Portico, token: str, file: Path) -> None:
    (file.parent).mkdir()
    (file.parent / "idp.xml").write_text("\ufeff" + METADATA, encoding="utf-8")
    done = machine.run("saml", "apply", "--yes", write(file, "slug: acme\nmetadata_file: idp.xml\ndescription: no\n"))
    assert done.code == 0, done.err
    assert "acme is new" in done.out
    assert "Note: Nobody can sign in yet." in done.out
    assert "Applied: acme." in done.out
    assert portico.configs["acme"]["metadata"] == METADATA
    assert portico.configs["acme"]["description"] == "no"
    assert [seen.headers.get("if-none-match") for seen in portico.seen if seen.method == "PUT"] == ["*", "*"]


def test_a_configuration_is_changed_only_in_the_version_that_was_seen(
    machine: Machine, portico: Portico, token: str, file: Path
) -> None:
    portico.config("acme")
    version = portico.etag("acme")
    done = machine.run("saml", "apply", "-y", write(file, "slug: acme\ndescription: Größer\nenabled: true\n"))
    assert done.code == 0, done.err
    assert 'description: "Acme" -> "Größer"' in done.out
    assert "enabled: false -> true" in done.out
    assert portico.configs["acme"]["enabled"] is True
    assert [seen.headers.get("if-match") for seen in portico.seen if seen.method == "PUT"] == [version, version]
    again = machine.run("saml", "apply", str(file))
    assert again.code == 0
    assert "acme stays as it is" in again.out
    assert len(puts(portico)) == 1


def test_diff_says_by_its_exit_code_whether_anything_differs(
    machine: Machine, portico: Portico, token: str, file: Path
) -> None:
    portico.config("acme")
    name = write(file, "slug: acme\ndescription: Better\nenabled: false\n")
    done = machine.run("saml", "diff", name)
    assert done.code == 10
    assert 'description: "Acme" -> "Better"' in done.out
    assert puts(portico) == []
    told = machine.run("saml", "diff", name, "--json")
    assert told.code == 10
    assert told.told == {
        "different": True,
        "configs": [
            {
                "slug": "acme",
                "new": False,
                "changes": [{"field": "description", "from": "Acme", "to": "Better"}],
                "notes": [],
            }
        ],
    }
    machine.run("saml", "apply", "--yes", name)
    assert machine.run("saml", "diff", name).code == 0


def test_what_show_prints_changes_nothing_when_applied(
    machine: Machine, portico: Portico, token: str, file: Path
) -> None:
    portico.config("acme", description="Zażółć: [gęślą]\n\x1b[31m jaźń\u202e #1", contact="no", domains=[])
    portico.configs["acme"]["domains"] = [{"domain": "acme.example", "verified": False}]
    done = machine.run("saml", "show", "acme")
    assert done.code == 0
    assert "# acs_url: https://portico.example/saml/acme/acs/" in done.out
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    assert machine.run("saml", "diff", write(file, done.out)).code == 0
    portico.config("beta", description="Zażółć gęślą", domains=[{"domain": "beta.example", "verified": True}])
    shown = machine.run("saml", "show", "beta").out
    assert "description: Zażółć gęślą" in shown
    assert "# beta.example is verified" in shown
    assert "domains:\n  - beta.example" in shown


def test_show_as_json_has_the_version(machine: Machine, portico: Portico, token: str) -> None:
    portico.config("acme")
    assert machine.run("saml", "show", "acme", "--json").told["etag"] == portico.etag("acme")


def test_show_of_what_is_not_there_is_not_found(machine: Machine, token: str) -> None:
    assert machine.run("saml", "show", "nope").code == 6


def test_without_a_terminal_nothing_is_applied_unasked(
    machine: Machine, portico: Portico, token: str, file: Path
) -> None:
    name = write(file, "slug: acme\n")
    for args in ([], ["--json"]):
        done = machine.run("saml", "apply", name, *args)
        assert done.code == 13
        assert "--yes" in done.err
    assert puts(portico) == []


def test_several_configurations_in_one_file(machine: Machine, portico: Portico, token: str, file: Path) -> None:
    text = "configs:\n  - {slug: a, description: A}\n  - slug: b\n---\nslug: c\n---\n"
    done = machine.run("saml", "apply", "--yes", "--json", write(file, text))
    assert done.told["applied"] == ["a", "b", "c"]
    assert sorted(portico.configs) == ["a", "b", "c"]


def test_standard_input_is_a_file_too(machine: Machine, portico: Portico, token: str) -> None:
    assert machine.run("saml", "apply", "--yes", "-", stdin="slug: acme\n").code == 0
    assert "acme" in portico.configs


def test_common_parts_can_be_shared(machine: Machine, portico: Portico, token: str, file: Path) -> None:
    text = "configs:\n  - &base {slug: a, description: Same, enabled: false}\n  - {<<: *base, slug: b, enabled: true}\n"
    assert machine.run("saml", "apply", "--yes", write(file, text)).code == 0
    assert portico.configs["b"] == {"description": "Same", "enabled": True, "domains": []}


def test_somebody_who_was_faster_is_explained(machine: Machine, portico: Portico, token: str, file: Path) -> None:
    portico.config("acme")
    portico.config("beta")
    portico.answer("PUT", "/saml-config/beta", "precondition_failed", 412, "Another version.")
    done = machine.run("saml", "diff", write(file, "configs: [{slug: acme}, {slug: beta}]"), "--json")
    assert done.code == 7
    assert done.error["slug"] == "beta"
    assert "somebody else changed it" in done.error["message"]


def test_what_was_applied_before_a_failure_is_told(machine: Machine, portico: Portico, token: str, file: Path) -> None:
    name = write(file, "configs: [{slug: a}, {slug: b}, {slug: c}]")
    terminal = machine.sit_down("saml", "apply", name)
    terminal.wait_for("[y/N] ")
    portico.answer("PUT", "/saml-config/b", "precondition_failed", 412, "Another version.")
    terminal.type("y\r")
    assert terminal.end() == 7
    assert "b: somebody else changed it after we looked" in terminal.text
    assert "Applied before that: a." in terminal.text.replace("\r\n", " ")
    assert sorted(portico.configs) == ["a"]


def test_a_wrong_value_is_told_with_its_place(machine: Machine, portico: Portico, token: str, file: Path) -> None:
    done = machine.run("saml", "apply", "--yes", write(file, "slug: ok\n---\nslug: acme\nenalbed: true\n"))
    assert done.code == 11
    assert "document 2" in done.err
    assert "enalbed: There is no such field." in done.err
    assert portico.configs == {}


def test_a_token_without_the_right_is_told(machine: Machine, portico: Portico, token: str, file: Path) -> None:
    portico.tokens[token]["scopes"] = ["read:self"]
    done = machine.run("saml", "list")
    assert done.code == 5
    assert "admin:saml" in done.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no configuration"),
        ("---\n---\n", "no configuration"),
        ("just text", "not a configuration"),
        ("[1, 2]", "not a configuration"),
        ("description: x", "has no slug"),
        ("slug: Acme", "slug is 'Acme'"),
        ("slug: ../x", "slug is"),
        ("slug: 5", "slug is 5"),
        ("slug: a\nslug: b", "'slug' stands there twice"),
        ("configs: {slug: a}", "must be a list"),
        ("configs: [a]", "must be a list"),
        ("configs: [{slug: a}]\nmore: 1", "must be a list"),
        ("configs: [{slug: a}, {slug: a}]", "two configurations named a"),
        ("slug: a\n  b: c", "line 2"),
        ("slug: 'a", "not YAML"),
        ("slug: \x00", "not YAML"),
        ("slug: a\n? [1]\n: 2", "unhashable"),
        ("slug: a\n1: 2", "is not text"),
        ("slug: a\nx: !!python/object:os.system y", "could not determine a constructor"),
        ("slug: a\nx: !!int abc", "not YAML"),
        ("slug: a\nx: !!timestamp abc", "not YAML"),
        ("slug: a\nx: !!binary aGk=", "which JSON has not"),
        ("slug: a\nx: !!float .nan", "which JSON has not"),
        ("slug: a\nx: &x [*x]", "too large or too deep"),
        ("slug: a\nx: " + "[" * 5000, "not"),
        ("slug: a\nx: " + "[" * 50 + "]" * 50, "too large or too deep"),
        (
            "slug: a\na: &a [x,x,x,x,x,x,x,x,x,x]\n"
            + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)),
            "too large",
        ),
        ("slug: a\nmetadata_file: nope.xml", "Cannot read"),
        ("slug: a\nmetadata_file: .", "is not a file"),
        ("slug: a\nmetadata_file: 7", "must be a path"),
        ('slug: a\nmetadata_file: "a\\0b"', "Cannot read"),
        ("slug: a\nmetadata_file: x\nmetadata: y", "must be a path, without"),
        ("slug: a\nmetadata_file: latin.xml", "not UTF-8"),
        ("slug: a\n# " + "x" * 2_100_000, "larger than 2 MiB"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_before_anything_is_asked(
    machine: Machine, portico: Portico, token: str, file: Path, text: str, expected: str
) -> None:
    name = write(file, text)
    (file.parent / "latin.xml").write_bytes("é".encode("latin-1"))
    done = machine.run("saml", "apply", "--yes", name)
    assert done.code == 11, done.err
    assert expected in done.err
    assert len(done.err.splitlines()) == 2
    assert portico.seen == []


@pytest.mark.parametrize("name", ["nope.yaml", ".", "/proc/self/mem", "", "a\x1bb"])
def test_a_file_that_cannot_be_read_is_told(machine: Machine, token: str, name: str) -> None:
    done = machine.run("saml", "diff", name)
    assert done.code == 11
    assert len(done.err.splitlines()) == 2
    assert "\x1b" not in done.err


def test_bytes_that_are_no_text_are_told(machine: Machine, token: str, file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"slug: \xff")
    assert "not UTF-8 (byte 6)" in machine.run("saml", "diff", str(file)).err


@pytest.mark.parametrize(
    ("method", "canned"),
    [
        ("GET", Canned(200, b"{}")),  # no ETag
        ("PUT", Canned(200, b"{}")),
        ("PUT", Canned(200, b'{"changes": 5}')),
        ("PUT", Canned(200, b'{"changes": ["x"]}')),
        ("PUT", Canned(200, b"[]")),
    ],
)
def test_a_server_that_does_not_keep_the_contract_gets_nothing(
    machine: Machine, portico: Portico, token: str, file: Path, method: str, canned: Canned
) -> None:
    portico.config("acme")
    portico.canned[method, "/saml-config/acme"] = canned
    done = machine.run("saml", "apply", "--yes", write(file, "slug: acme\n"))
    assert done.code == 9
    assert puts(portico) == []
