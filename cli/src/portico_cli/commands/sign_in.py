"""login, logout, whoami, status, profiles."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portico_cli import asking, profiles
from portico_cli.call import Call, Held, environment, not_signed_in, signed_out, standing
from portico_cli.errors import ExitCode, Refusal
from portico_cli.hosts import Host
from portico_cli.keeping import Place
from portico_cli.profiles import Facts, Profile
from portico_cli.tokens import LENGTH, Token

if TYPE_CHECKING:
    from portico_cli.client import Door

MAX_PASTED = 4096
CODE_TRIES = 3
DEFAULT_SCOPES = ("read:self", "write:tokens", "read:org")
MANY_FACTORS = {"totp": "code of your authenticator app", "recovery_code": "recovery code"}

Scopes = Annotated[
    list[str] | None, typer.Option("--scope", metavar="SCOPE", help="What the token may do; may be repeated.")
]
Days = Annotated[int | None, typer.Option("--expires-in-days", metavar="N", min=1, help="When the token ends.")]


@dataclass(frozen=True)
class Wanted:
    """What is said of the token to be made by password; None where nothing is."""

    email: str | None = None
    name: str | None = None
    scopes: list[str] | None = None
    days: int | None = None


@standing
def login(
    call: Call,
    email: Annotated[str | None, typer.Option("--email", help="Your e-mail address; asked if not said.")] = None,
    token: Annotated[
        str | None, typer.Option("--token", metavar="TOKEN", help="A token; better: --with-token, PORTICO_TOKEN.")
    ] = None,
    with_token: Annotated[bool, typer.Option("--with-token", help="Read a token from standard input.")] = False,
    name: Annotated[str | None, typer.Option("--name", help="What the new token is called in your list.")] = None,
    scope: Scopes = None,
    expires_in_days: Days = None,
) -> None:
    """Sign in, and keep a token: with e-mail and password, or with a token that you have.

    People who sign in through an identity provider make a token in their browser (Profile, API tokens) and hand it
    over with --with-token.
    """
    wanted = Wanted(email, name, scope or None, expires_in_days)
    by_password = wanted != Wanted()
    if (token is not None) + with_token + by_password > 1:
        raise Refusal(
            ExitCode.USAGE,
            "--token, --with-token, and the options of signing in by password do not go together.",
            "Choose one of them: portico login --help.",
        )
    profile = target(call)
    given = given_token(call, token, with_token=with_token, by_password=by_password)
    if given:
        sign_in_with_token(call, profile, given)
    else:
        sign_in_by_password(call, profile, wanted)


def target(call: Call) -> Profile:
    """The profile to sign in with: the one that is meant, else a new one. Raises Refusal."""
    saved, host = call.saved(), call.named_host
    if saved and host and host != saved.host:
        if saved.kept:
            raise Refusal(
                ExitCode.USAGE,
                f"The profile {saved.name} is signed in to {saved.host}.",
                f"Choose another --profile, or sign out first: portico logout --profile {saved.name}",
                code="profile_taken",
            )
        saved = Profile(name=saved.name, host=host)
    if saved:
        return with_ca_file(call, saved)
    if not host:
        host = asked_host()
    return with_ca_file(call, Profile(name=call.named_profile or free_name(call, host), host=host))


def with_ca_file(call: Call, profile: Profile) -> Profile:
    """`profile`, remembering the certificates that were named."""
    return replace(profile, ca_file=call.ca_file(profile))


def asked_host() -> Host:
    """The address of the Portico, from the person at the terminal. Raises Refusal."""
    if not asking.is_interactive():
        raise Refusal(ExitCode.USAGE, "No host was named.", "Name your Portico: --host URL, or PORTICO_HOST.")
    return Host.parse(asking.ask("Address of your Portico: "))


def free_name(call: Call, host: Host) -> str:
    """A name for a new profile: the default one, or the host's if that is in use. Raises Refusal."""
    usual = profiles.load(call.folder, profiles.DEFAULT)
    if not usual or not usual.kept:
        return profiles.DEFAULT
    if profiles.load(call.folder, host.as_name):
        raise Refusal(ExitCode.USAGE, f"The profile {host.as_name} is another host's.", "Choose a --profile NAME.")
    return profiles.check_name(host.as_name)


def given_token(call: Call, token: str | None, *, with_token: bool, by_password: bool) -> Token | None:
    """The token that was handed over; None if a password is to be asked for. Raises Refusal if it is none."""
    if token is None and not with_token and not by_password:
        return call.environment_token
    if environment("PORTICO_TOKEN"):
        call.screen.warn("PORTICO_TOKEN is set, and wins over the token that is kept, until you unset it.")
    if token is not None:
        call.screen.warn(
            "A token in the arguments can be seen in the list of processes and in your shell's history; --with-token "
            "reads it from standard input."
        )
    elif with_token:
        asks = asking.is_interactive()
        token = asking.ask_secret("Token: ") if asks else asking.piped(MAX_PASTED).decode("utf-8", "replace")
    return None if token is None else Token.parse(token)


def sign_in_with_token(call: Call, profile: Profile, token: Token) -> None:
    """Ask the server whether `token` is good, then keep it. Raises Refusal."""
    call.keeper(profile).prepare()
    door = call.door(profile, token)
    api_token = door.call("GET", "/tokens/current").record()
    keep(call, profile, token, api_token, who(door))


def sign_in_by_password(call: Call, profile: Profile, wanted: Wanted) -> None:
    """Ask for the password, and a second factor where there is one; keep the token that comes of it. Raises Refusal."""
    if not asking.is_interactive():
        raise Refusal(
            ExitCode.USAGE,
            "There is no terminal to ask for a password.",
            f"Make a token at {profile.host.tokens_page} and pipe it to: portico login --with-token",
        )
    call.keeper(profile).prepare()
    address = wanted.email or asking.ask("E-mail: ")
    if "@" not in address:
        raise Refusal(ExitCode.USAGE, f"{address!r} is not an e-mail address.", "Enter it as name@domain.")
    body: dict[str, Any] = {
        "email": address,
        "password": asking.ask_secret("Password: "),
        "name": wanted.name or f"portico on {socket.gethostname()}"[:80],
        "scopes": wanted.scopes or list(DEFAULT_SCOPES),
    }
    if wanted.days:
        body["expires_in_days"] = wanted.days
    minted = with_second_factor(call, call.door(profile, None), body)
    token, api_token = minted_token(minted)
    door = call.door(profile, token)
    try:
        keep(call, profile, token, api_token, who(door) or address)
    except Refusal:
        # It is kept nowhere, so nobody should be able to use it.
        with contextlib.suppress(Refusal):
            door.call("DELETE", "/tokens/current")
        raise


def with_second_factor(call: Call, door: Door, body: dict[str, Any]) -> dict[str, Any]:
    """What `POST /login` answers, asking for the second factor when the server wants one. Raises Refusal."""
    asked = body
    for left in reversed(range(CODE_TRIES + 1)):
        try:
            return door.call("POST", "/login", body=asked).record()
        except Refusal as refusal:
            if refusal.code not in {"second_factor_required", "second_factor_wrong"} or not left:
                raise
            if refusal.code == "second_factor_wrong":
                call.screen.note(refusal.message)
            methods = refusal.facts.get("methods")
            known = (
                [MANY_FACTORS[each] for each in methods if each in MANY_FACTORS] if isinstance(methods, list) else []
            )
            prompt = " or ".join(known) or "code of your second factor"
            asked = {**body, "code": asking.ask_secret(f"{prompt[0].upper()}{prompt[1:]}: ").strip()}
    raise AssertionError("unreachable")


def minted_token(answer: dict[str, Any]) -> tuple[Token, dict[str, Any]]:
    """The new token of an answer that makes one, and what is to be known of it. Raises Refusal."""
    text, api_token = answer.get("token"), answer.get("api_token")
    try:
        token = Token.parse(text if isinstance(text, str) else "")
    except Refusal:
        raise Refusal(
            ExitCode.SERVER,
            f"The server answers without a token of {LENGTH} characters.",
            "Check the address (--host), and whether this client is too old: portico --version.",
            code="strange_answer",
        ) from None
    return token, api_token if isinstance(api_token, dict) else {}


def who(door: Door) -> str:
    """Name and e-mail address of the token's owner; empty if the token may not say."""
    try:
        user = door.call("GET", "/whoami").record().get("user")
    except Refusal as refusal:
        if refusal.code == "scope_missing":
            return ""
        raise
    return person(user if isinstance(user, dict) else {})


def person(user: dict[str, Any]) -> str:
    """How somebody is called: the name and the address, or what there is."""
    name, email = str(user.get("name") or ""), str(user.get("email") or "")
    return f"{name} <{email}>" if name and email else name or email


def keep(call: Call, profile: Profile, token: Token, api_token: dict[str, Any], owner: str) -> None:
    """Keep `token`, remember what may be known of it, and say so. Raises Refusal."""
    before = profile.facts if profile.kept else Facts()
    keeper = call.keeper(profile)
    place = keeper.keep(token)
    facts = Facts.of(api_token, token.prefix)
    profiles.save(call.folder, replace(profile, who=owner, kept=place, facts=facts))
    if before.id and before.id != facts.id:
        call.screen.note(
            f"The token kept here before ({before.prefix}…) still works. To end it: portico tokens revoke {before.id}"
        )
    if call.screen.as_json:
        call.screen.data(
            {"profile": profile.name, "host": profile.host.url, "who": owner, "kept": place, "token": vars(facts)}
        )
        return
    call.screen.line(f"Signed in to {profile.host} as {owner or 'somebody this token may not name'}.")
    until = f", good until {facts.expires_at}" if facts.expires_at else ""
    call.screen.line(
        f"Token {facts.prefix}…{until}, kept in {shown_place(call, profile, place)} (profile {profile.name})."
    )


def shown_place(call: Call, profile: Profile, place: str) -> str:
    """Where a token is, for people."""
    return {
        Place.KEYRING: "the keyring",
        Place.FILE: str(call.keeper(profile).path),
        Place.ENVIRONMENT: "the environment variable PORTICO_TOKEN",
    }[Place(place)]


@standing
def logout(
    call: Call,
    revoke: Annotated[bool, typer.Option("--revoke", help="End the token at the server too.")] = False,
) -> None:
    """Forget the token that is kept here; with --revoke also end it at the server, so that no copy of it works."""
    if revoke and environment("PORTICO_TOKEN"):
        raise Refusal(
            ExitCode.USAGE,
            "PORTICO_TOKEN is set, so it is not clear which token to end.",
            "Unset it; or end that one: portico tokens revoke current",
        )
    profile = call.saved()
    if not profile or not profile.kept:
        raise not_signed_in(profile or call.current())
    keeper = call.keeper(profile)
    ended = False
    if revoke and (token := keeper.fetch(profile.kept)):
        ended = end(call.door(profile, token))
    keeper.forget()
    profiles.save(call.folder, signed_out(profile))
    if environment("PORTICO_TOKEN"):
        call.screen.warn("PORTICO_TOKEN is still set, and is used until you unset it.")
    if call.screen.as_json:
        call.screen.data({"profile": profile.name, "host": profile.host.url, "revoked": ended})
    elif ended:
        call.screen.line(f"Signed out of {profile.host}; the token has ended.")
    else:
        until = f" until {profile.facts.expires_at}" if profile.facts.expires_at else ""
        call.screen.line(f"Signed out of {profile.host}. Copies of the token, if there are any, still work{until}.")


def end(door: Door) -> bool:
    """End the token in use. True also if the server refuses it already. Raises Refusal."""
    try:
        door.call("DELETE", "/tokens/current")
    except Refusal as refusal:
        if refusal.exit_code is not ExitCode.NOT_SIGNED_IN:
            raise
    return True


@standing
def whoami(call: Call) -> None:
    """Who you are to the server, and what you may do."""
    told = call.open_door().call("GET", "/whoami").record()
    if call.screen.as_json:
        call.screen.data(told)
        return
    user = told.get("user")
    used = told.get("token")
    call.screen.facts(
        [
            ("Signed in as", person(user if isinstance(user, dict) else {})),
            ("Identity provider", told.get("identity_provider")),
            ("Access level", told.get("access_level")),
            ("Organisations", [named(each, "role") for each in listed(told.get("organizations"))]),
            ("Billing accounts", [named(each, "organization") for each in listed(told.get("billing_accounts"))]),
            ("Roles", told.get("roles")),
            ("Properties", [named(each, "") for each in listed(told.get("properties"))]),
            ("Access groups", told.get("access_groups")),
            ("Permissions", told.get("permissions")),
            ("Token", used.get("name") if isinstance(used, dict) else None),
            ("Scopes", used.get("scopes") if isinstance(used, dict) else None),
            ("Good until", used.get("expires_at") if isinstance(used, dict) else None),
        ]
    )


def listed(value: Any) -> list[Any]:
    """`value` if it is a list, else nothing."""
    return value if isinstance(value, list) else []


def named(thing: Any, beside: str) -> str:
    """The name of a thing, and in brackets what it has `beside` that."""
    if not isinstance(thing, dict):
        return str(thing)
    more = thing.get(beside)
    more = more.get("name") if isinstance(more, dict) else more
    return f"{thing.get('name', thing.get('id'))} ({more})" if more else str(thing.get("name", thing.get("id")))


@standing
def status(
    call: Call,
    check: Annotated[bool, typer.Option("--check", help="Ask the server whether the token still works.")] = False,
) -> None:
    """Which host and profile are used, and which token, kept where; asks the server nothing, unless with --check."""
    profile = call.current()
    held = call.held(profile)
    facts = known_facts(profile, held)
    refusal = None if held else not_signed_in(profile)
    checked = None
    if held and check:
        try:
            told = call.door(profile, held.token).call("GET", "/tokens/current").record()
            facts, checked = Facts.of(told, held.token.prefix), True
        except Refusal as told_no:
            refusal, checked = told_no, False
    show_status(call, profile, held, facts, checked=checked)
    if refusal:
        raise refusal


def known_facts(profile: Profile, held: Held | None) -> Facts:
    """What is known here of the token: of one from the environment no more than how it begins."""
    if not held:
        return Facts()
    return profile.facts if held.place is not Place.ENVIRONMENT else Facts(prefix=held.token.prefix)


def show_status(call: Call, profile: Profile, held: Held | None, facts: Facts, *, checked: bool | None) -> None:
    """Print what `status` tells."""
    place = shown_place(call, profile, held.place) if held else None
    if call.screen.as_json:
        call.screen.data(
            {
                "profile": profile.name,
                "host": profile.host.url,
                "signed_in": held is not None,
                "works": checked,
                "who": profile.who or None,
                "token": {**vars(facts), "kept": held.place, "where": place} if held else None,
                "ca_file": call.ca_file(profile) or None,
                "folder": str(call.folder),
            }
        )
        return
    ended = " (it has ended)" if is_past(facts.expires_at, datetime.now(UTC)) else ""
    unknown = "not known here; --check asks the server" if held and held.place is Place.ENVIRONMENT else None
    call.screen.facts(
        [
            ("Profile", profile.name),
            ("Host", profile.host),
            ("Signed in as", profile.who if held and held.place is not Place.ENVIRONMENT else None),
            ("Token", f"{facts.prefix}… {facts.name}".rstrip() if held else None),
            ("Kept in", place),
            ("Good until", f"{facts.expires_at}{ended}" if facts.expires_at else unknown),
            *([("Works", checked)] if checked is not None else []),
            ("Certificates", call.ca_file(profile) or None),
            ("Settings", call.folder),
        ]
    )


def is_past(when: str, now: datetime) -> bool:
    """Whether the ISO 8601 time `when` is before `now`; no if it is not one."""
    try:
        return datetime.fromisoformat(when) < now
    except (ValueError, TypeError):
        return False


@standing
def list_profiles(call: Call) -> None:
    """The sign-ins that this machine knows."""
    found = call.all_profiles()
    if call.screen.as_json:
        call.screen.data(
            {
                "items": [
                    {"profile": each.name, "host": each.host.url, "who": each.who or None, "kept": each.kept or None}
                    for each in found
                ]
            }
        )
        return
    call.screen.table(
        ["Profile", "Host", "Signed in as", "Token", "Kept in"],
        [
            [each.name, each.host, each.who, f"{each.facts.prefix}…" if each.kept else None, each.kept or None]
            for each in found
        ],
        empty="There are no profiles. Make one: portico login --host URL.",
    )
