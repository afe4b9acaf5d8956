"""SAML configurations as YAML files: read strictly, as what the REST door takes; and written back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from portico_cli import asking
from portico_cli.errors import ExitCode, Refusal
from portico_cli.output import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 2 * 1024 * 1024
MAX_METADATA_BYTES = 4 * 1024 * 1024
MAX_VALUES = 100_000
MAX_LETTERS = 8 * 1024 * 1024
MAX_DEPTH = 30
SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?")

# The server says these of a configuration; they are not for writing. They may stay in a file.
READ_ONLY = ("acs_url", "sp_entity_id", "metadata_url", "login_url")


@dataclass(frozen=True)
class Document:
    """One configuration: its slug, the body of the PUT, and where it stands."""

    slug: str
    body: dict[str, Any]
    where: str


class Loader(yaml.SafeLoader):
    """YAML with as few surprises as JSON: `no` and `2026-01-01` are texts, and a key stands once."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""])
Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^(?:0|-?[1-9][0-9]{0,17})$"), list("-0123456789"))
Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^(?:<<)$"), ["<"])


def construct_mapping(loader: Loader, node: yaml.MappingNode) -> Iterator[dict[Any, Any]]:
    """A mapping whose keys differ; YAML's own would let the last one win."""
    seen: set[str] = set()
    for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
        if key.value in seen:
            raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands there twice", key.start_mark)
        seen.add(key.value)
    mapping: dict[Any, Any] = {}
    yield mapping
    mapping.update(loader.construct_mapping(node))


Loader.add_constructor("tag:yaml.org,2002:map", construct_mapping)


def read(name: str) -> list[Document]:
    """The configurations in the file `name` (`-` is standard input), in their order. Raises Refusal."""
    path = Path(name)
    text = decoded(asking.piped(MAX_BYTES + 1) if name == "-" else content(path, MAX_BYTES), name, MAX_BYTES)
    folder = Path() if name == "-" else path.parent
    found = [
        document(entry, where, folder) for entry, where in entries(text, "standard input" if name == "-" else name)
    ]
    if not found:
        raise invalid(
            f"{name} has no configuration in it.", "Write one: slug: acme, and what portico saml show prints."
        )
    slugs = [each.slug for each in found]
    for slug in slugs:
        if slugs.count(slug) > 1:
            raise invalid(f"{name} has two configurations named {slug}.", "Leave one of them.")
    return found


def entries(text: str, name: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Each configuration as it stands in the YAML `text`, and where: documents, or a list under `configs`."""
    for number, loaded in enumerate(parsed(text, name), 1):
        where = f"{name}, document {number}"
        if loaded is None:
            continue
        if not isinstance(loaded, dict):
            raise invalid(f"{where}, is not a configuration.", "Begin it with slug: NAME, or with configs: and a list.")
        if "configs" not in loaded:
            yield plain(loaded, where), where
            continue
        listed = loaded["configs"]
        if len(loaded) > 1 or not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
            raise invalid(f"{where}: configs must be a list of configurations, alone.", "Indent each below a hyphen.")
        for position, item in enumerate(listed, 1):
            yield plain(item, f"{where}, entry {position}"), f"{where}, entry {position}"


def parsed(text: str, name: str) -> list[Any]:
    """The YAML documents of `text`. Raises Refusal."""
    cure = "Correct the YAML there."
    try:
        return list(yaml.load_all(text, Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise invalid(f"{name} is not YAML{where}: {error.problem or error.context}.", cure) from None
    except RecursionError:
        raise invalid(f"{name} is nested too deeply.", cure) from None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:
        # PyYAML's constructors for explicit tags (`!!int abc`) raise what they like.
        raise invalid(f"{name} is not YAML: {error}", cure) from None


def plain(entry: dict[Any, Any], where: str) -> dict[str, Any]:
    """`entry` if it is made of what JSON has. Raises Refusal: aliases may also make a small file a huge value."""
    left, letters = MAX_VALUES, MAX_LETTERS

    def check(value: Any, path: str, depth: int) -> None:
        nonlocal left, letters
        left -= 1
        letters -= len(value) if isinstance(value, str) else 0
        if left < 0 or letters < 0 or depth > MAX_DEPTH:
            raise invalid(f"{where}, is too large or too deep.", "Say it without aliases, or in several files.")
        if isinstance(value, dict):
            for key, item in value.items():
                if not isinstance(key, str):
                    raise invalid(f"{where}: the key {key!r} in {path or 'it'} is not text.", "Put it in quotes.")
                check(item, f"{path}.{key}".lstrip("."), depth + 1)
        elif isinstance(value, list):
            for item in value:
                check(item, path, depth + 1)
        elif value is not None and not isinstance(value, str | bool | int):
            raise invalid(f"{where}: {path} is a {type(value).__name__}, which JSON has not.", "Write it as text.")

    check(entry, "", 0)
    return entry


def document(entry: dict[str, Any], where: str, folder: Path) -> Document:
    """One configuration, its metadata read from `metadata_file` (relative to `folder`). Raises Refusal."""
    body = {key: value for key, value in entry.items() if key not in READ_ONLY}
    slug = body.pop("slug", None)
    if not isinstance(slug, str) or not SLUG.fullmatch(slug):
        raise invalid(
            f"{where}: slug is {slug!r}." if "slug" in entry else f"{where}, has no slug.",
            "Name it in small letters, digits and hyphens: slug: acme.",
        )
    if "metadata_file" in body:
        named = body.pop("metadata_file")
        if "metadata" in body or not isinstance(named, str) or not named:
            raise invalid(f"{where}: metadata_file must be a path, without metadata beside it.", "Leave one of them.")
        path = folder / named
        body["metadata"] = decoded(content(path, MAX_METADATA_BYTES), str(path), MAX_METADATA_BYTES)
    if "domains" in body:
        body["domains"] = names_of(body["domains"])
    return Document(slug, body, where)


def names_of(domains: Any) -> Any:
    """Domains as the server takes them (names), also from how it tells them; anything else as it is."""
    if not isinstance(domains, list):
        return domains
    return [each.get("domain", each) if isinstance(each, dict) else each for each in domains]


def verified(domains: Any) -> list[str]:
    """The names among `domains`, as the server tells them, that are verified."""
    listed = domains if isinstance(domains, list) else []
    return [str(each.get("domain")) for each in listed if isinstance(each, dict) and each.get("verified") is True]


def content(path: Path, at_most: int) -> bytes:
    """The bytes of a plain file, one more than `at_most` if it has more. Raises Refusal."""
    try:
        if path.exists() and not path.is_file():
            raise invalid(f"{path} is not a file.", "Name a file, or - for standard input.")
        with path.open("rb") as file:
            return file.read(at_most + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not a path"
        raise invalid(f"Cannot read {path}: {why}.", "Check the path and its rights.") from None


def decoded(raw: bytes, name: str, at_most: int) -> str:
    """The text of a file of bearable size, in UTF-8 with or without a byte order mark. Raises Refusal."""
    if len(raw) > at_most:
        raise invalid(f"{name} is larger than {at_most // 1024 // 1024} MiB.", "Is it the right file?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise invalid(f"{name} is not UTF-8 (byte {error.start}).", "Save it as UTF-8.") from None


def invalid(message: str, cure: str) -> Refusal:
    """What is in a file cannot be used."""
    return Refusal(ExitCode.INVALID, message, cure, code="bad_file")


class Dumper(yaml.SafeDumper):
    """Writes long texts (certificates) as blocks, lists indented below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - PyYAML's own signature
        """Indent lists too."""
        super().increase_indent(flow, False)  # noqa: FBT003 - as above


def represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """A text, as a block where it has several lines."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Dumper.add_representer(str, represent_text)


def written(config: dict[str, Any]) -> str:
    """A configuration as a file for `portico saml apply`; what the server tells but does not take is in comments."""
    told = [f"# {name}: {clean(str(config[name]))}\n" for name in READ_ONLY if name in config]
    told += [f"# {clean(name)} is verified\n" for name in verified(config.get("domains"))]
    body = {key: value for key, value in config.items() if key not in READ_ONLY}
    if "domains" in body:
        body["domains"] = names_of(body["domains"])
    # Letters as they are, unless there is one that a terminal would obey: then all are escaped.
    text = dumped(body, readable=True)
    if any(clean(line) != line for line in text.split("\n")):
        text = dumped(body, readable=False)
    return "".join(told) + text.rstrip("\n")


def dumped(body: dict[str, Any], *, readable: bool) -> str:
    """`body` as YAML, in its own order; letters beyond ASCII as they are if it is to be `readable`."""
    text: str = yaml.dump(body, Dumper=Dumper, sort_keys=False, allow_unicode=readable, width=10_000)
    return text
