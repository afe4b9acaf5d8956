"""E-mail domains: claimed, verified in a real DNS, vouched for, released; by page and by command."""

from __future__ import annotations

import contextlib
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING, Protocol

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.actors import Actor
from audit.models import Event
from saml_sp import domains
from saml_sp.models import DomainProof, EmailDomain
from tests import dns_server, factories
from tests.dns_server import DnsServer, Trouble
from tests.door import let_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import Settings

    from accounts.models import User
    from saml_sp.models import IdentityProvider

pytestmark = pytest.mark.django_db

LIST = "/admin/saml_sp/emaildomain/"
ACTOR = Actor.command("a test")


@pytest.fixture
def acme(db: None) -> IdentityProvider:
    return factories.idp("acme", description="Acme Okta")


@pytest.fixture
def globex(db: None) -> IdentityProvider:
    return factories.idp("globex", description="Globex Entra")


@pytest.fixture
def dns(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[DnsServer]:
    monkeypatch.setattr(domains, "TIMEOUT", 1.0)  # of the tests' patience
    with dns_server.serve() as server:
        settings.PORTICO_DNS_SERVERS = [("127.0.0.1", server.port)]
        yield server


@pytest.fixture
def root(db: None) -> User:
    return factories.user("root@portico.example", is_staff=True, is_superuser=True)


@pytest.fixture
def client(root: User) -> Client:
    signed_in = Client()
    let_in(signed_in, root)
    return signed_in


def claimed(idp: IdentityProvider, domain: str = "acme.example") -> EmailDomain:
    return domains.claim(idp, domain, now=timezone.now(), actor=ACTOR)


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("idp", "domain", *arguments, stdout=out)
    return out.getvalue()


def refusal(*arguments: str) -> str:
    with pytest.raises(CommandError) as caught:
        command(*arguments)
    return str(caught.value)


def kinds() -> list[str]:
    return list(Event.objects.order_by("id").values_list("kind", flat=True))


def text(response: object) -> str:
    return unescape(response.content.decode())  # type: ignore[attr-defined]  # whichever kind of response it is


class Way(Protocol):
    """One of the ways to take a step; returns what the administrator then reads."""

    def __call__(self, client: Client, row: EmailDomain, step: str, reason: str = "") -> str: ...


def by_button(client: Client, row: EmailDomain, step: str, reason: str = "") -> str:
    answer = client.post(f"{LIST}{row.pk}/{step}/", {"reason": reason}, follow=True)
    assert answer.redirect_chain == [(f"{LIST}{row.pk}/change/", 302)]
    return text(answer)


def by_command(client: Client, row: EmailDomain, step: str, reason: str = "") -> str:
    try:
        return command(step, row.idp.slug, row.domain, *(("--reason", reason) if reason else ()))
    except CommandError as error:
        return str(error)


either_way = pytest.mark.parametrize("way", [by_button, by_command])


# --- Verifying --------------------------------------------------------------------------------------------------------


@either_way
@pytest.mark.parametrize(
    "records",
    [
        ['"{}"'],
        ['"something else"', '"v=spf1 -all"', '"{}"'],
        ['"portico-domain-" "verification={0:.4}" "{0}"', '"{}"'],
    ],
)
def test_the_right_record_makes_the_claim_count(
    way: Way, records: list[str], client: Client, acme: IdentityProvider, dns: DnsServer
) -> None:
    row = claimed(acme)
    dns.records[row.record_name] = [record.format(row.record_value) for record in records]
    said = way(client, row, "verify")
    assert "acme.example belongs to" in said
    row.refresh_from_db()
    assert row.verified_at is not None
    assert (row.proof, row.reason) == (DomainProof.DNS, "")
    assert EmailDomain.objects.owner_of("Ana@ACME.example") == acme
    assert kinds()[-1] == "admin:domain:verify"
    assert set(dns.asked) == {"_portico-challenge.acme.example"}


def test_a_record_in_several_strings_is_read_as_one(client: Client, acme: IdentityProvider, dns: DnsServer) -> None:
    row = claimed(acme)
    half = len(row.record_value) // 2
    dns.records[row.record_name] = [f'"{row.record_value[:half]}" "{row.record_value[half:]}"']
    assert "belongs to Acme Okta now" in by_button(client, row, "verify")


def test_an_answer_too_long_for_a_datagram_is_fetched_by_tcp(
    client: Client, acme: IdentityProvider, dns: DnsServer
) -> None:
    row = claimed(acme)
    dns.records[row.record_name] = [*(f'"{number:0200}"' for number in range(10)), f'"{row.record_value}"']
    assert "belongs to Acme Okta now" in by_button(client, row, "verify")
    assert len(dns.asked) == 2


@either_way
@pytest.mark.parametrize(
    ("records", "found"),
    [
        (['"portico-domain-verification=0000"'], "found portico-domain-verification=0000."),
        (['" {}"'], "found  portico-domain-verification="),
        (['"{}x"'], "found portico-domain-verification="),
        (['"\\027[2J"'], "found �[2J."),
        ([], "found no TXT record."),
        (Trouble.NXDOMAIN, "found no TXT record."),
    ],
)
def test_without_the_right_record_it_says_what_it_looked_for_and_what_it_found(
    way: Way, records: list[str] | Trouble, found: str, client: Client, acme: IdentityProvider, dns: DnsServer
) -> None:
    row = claimed(acme)
    dns.records[row.record_name] = (
        records if isinstance(records, Trouble) else [record.format(row.record_value) for record in records]
    )
    said = way(client, row, "verify")
    assert "Expected a TXT record at _portico-challenge.acme.example with the value " + row.record_value in said
    assert found in said
    row.refresh_from_db()
    assert row.verified_at is None
    assert EmailDomain.objects.owner_of("ana@acme.example") is None
    assert kinds() == ["admin:domain:claim"]


@either_way
def test_a_record_at_the_domain_itself_does_not_count(
    way: Way, client: Client, acme: IdentityProvider, dns: DnsServer
) -> None:
    row = claimed(acme)
    dns.records["acme.example"] = [f'"{row.record_value}"']
    assert "found no TXT record" in way(client, row, "verify")


@either_way
def test_the_token_of_another_claim_does_not_count(
    way: Way, client: Client, acme: IdentityProvider, globex: IdentityProvider, dns: DnsServer
) -> None:
    mine, theirs = claimed(acme), claimed(globex)
    dns.records[mine.record_name] = [f'"{theirs.record_value}"']
    assert "The DNS does not show that acme.example is theirs." in way(client, mine, "verify")


@either_way
@pytest.mark.parametrize("trouble", [Trouble.SERVFAIL, Trouble.SILENCE])
def test_a_dns_that_gives_no_answer_is_said_to(
    way: Way, trouble: Trouble, client: Client, acme: IdentityProvider, dns: DnsServer
) -> None:
    row = claimed(acme)
    dns.records[row.record_name] = trouble
    assert "The DNS gave no answer for _portico-challenge.acme.example (" in way(client, row, "verify")
    row.refresh_from_db()
    assert row.verified_at is None


@either_way
def test_a_name_server_that_is_down_is_said_to_be(
    way: Way, client: Client, acme: IdentityProvider, dns: DnsServer, settings: Settings
) -> None:
    settings.PORTICO_DNS_SERVERS = [("127.0.0.1", dns_server.closed_port())]
    assert "Try again later." in way(client, claimed(acme), "verify")


def test_of_two_name_servers_one_is_enough(
    client: Client, acme: IdentityProvider, dns: DnsServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domains, "TIMEOUT", 5.0)
    settings.PORTICO_DNS_SERVERS = [("127.0.0.1", dns_server.closed_port()), ("127.0.0.1", dns.port)]
    row = claimed(acme)
    dns.records[row.record_name] = [f'"{row.record_value}"']
    assert "belongs to Acme Okta now" in by_button(client, row, "verify")


def test_a_name_too_long_for_the_dns_is_refused_in_words(
    client: Client, acme: IdentityProvider, dns: DnsServer
) -> None:
    row = claimed(acme, ".".join(["a" * 60] * 4) + ".example")
    assert "The DNS gave no answer" in by_button(client, row, "verify")


def test_without_name_servers_in_the_settings_the_machines_own_are_asked(settings: Settings) -> None:
    """Whatever this machine has: no name under .invalid exists anywhere (RFC 6761 6.4)."""
    settings.PORTICO_DNS_SERVERS = []
    found = None
    with contextlib.suppress(domains.DomainRefused):
        found = domains.look_up("_portico-challenge.example.invalid")
    assert not found


def test_what_counts_on_somebodys_word_may_come_to_count_by_its_record(
    client: Client, acme: IdentityProvider, dns: DnsServer
) -> None:
    row = claimed(acme)
    by_command(client, row, "vouch", "their contract")
    assert "The DNS does not show" in by_command(client, row, "verify")
    assert EmailDomain.objects.owner_of("ana@acme.example") == acme
    dns.records[row.record_name] = [f'"{row.record_value}"']
    assert "acme.example belongs to acme, verified by a DNS record." in by_command(client, row, "verify")


# --- Claiming ---------------------------------------------------------------------------------------------------------


def test_a_claim_made_in_the_administration_leads_to_the_page_with_the_record(
    client: Client, acme: IdentityProvider
) -> None:
    answer = client.post(f"{LIST}add/", {"idp": acme.pk, "domain": " ACME.Example "}, follow=True)
    row = EmailDomain.objects.get()
    assert answer.redirect_chain == [(f"{LIST}{row.pk}/change/", 302)]
    assert row.domain == "acme.example"
    assert "acme.example is claimed. It does not count before it is verified." in text(answer)
    assert row.record_name in text(answer)
    assert row.record_value in text(answer)
    event = Event.objects.get(kind="admin:domain:claim")
    assert (event.actor, event.data) == (
        "root@portico.example", {"slug": "acme", "domain": "acme.example", "reason": ""},
    )  # fmt: skip


def test_a_claim_made_by_command_prints_the_record(acme: IdentityProvider) -> None:
    said = command("add", "acme", "ACME.Example")
    row = EmailDomain.objects.get()
    assert f'_portico-challenge.acme.example. TXT "{row.record_value}"' in said
    assert "idp domain verify acme acme.example" in said
    assert len(row.token) == 32


def test_claiming_twice_keeps_the_first_token(client: Client, acme: IdentityProvider) -> None:
    assert command("add", "acme", "acme.example") == command("add", "acme", "Acme.EXAMPLE")
    answer = client.post(f"{LIST}add/", {"idp": acme.pk, "domain": "Acme.example"})
    assert "This identity provider claims the domain already." in text(answer)
    assert EmailDomain.objects.count() == 1
    assert kinds() == ["admin:domain:claim"]


def test_each_claim_has_a_token_of_its_own(acme: IdentityProvider, globex: IdentityProvider) -> None:
    assert claimed(acme).token != claimed(globex).token != claimed(acme, "other.example").token


BAD = [
    "@acme.example", "*.acme.example", "ana@acme.example", "acme", ".example", "acme..example", "-acme.example",
    "acme-.example", "acme.example.", "acme.e", "acme.1e", "http://acme.example", "acme.example/", "acme example",
    "äcme.example", "аcme.example", "\u212aacme.example", "acme\u3002example", "acme\u200b.example", "acme.example:53",
    "a" * 64 + ".example", ".".join(["a" * 60] * 5), "", "acme.example\nglobex.example", "acme_.example",
]  # fmt: skip


@pytest.mark.parametrize("domain", BAD)
def test_what_is_no_domain_is_refused_in_words(domain: str, client: Client, acme: IdentityProvider) -> None:
    answer = client.post(f"{LIST}add/", {"idp": acme.pk, "domain": domain})
    assert answer.status_code == 200
    if domain:
        assert f"“{domain[:253]}” cannot be claimed." in refusal("add", "--", "acme", domain)
        assert "cannot be claimed." in refusal("vouch", "--reason", "because", "--", "acme", domain)
    assert not EmailDomain.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "domain", ["acme.example", "mail.acme.co.example", "xn--cme-qla.example", "a1.xn--p1ai", "3m.example"]
)
def test_what_is_a_domain_can_be_claimed(domain: str, acme: IdentityProvider) -> None:
    assert claimed(acme, domain).domain == domain


def test_subdomains_are_not_implied_either_way(acme: IdentityProvider) -> None:
    command("vouch", "acme", "acme.example", "--reason", "their contract")
    assert EmailDomain.objects.owner_of("ana@mail.acme.example") is None
    assert EmailDomain.objects.owner_of("ana@example") is None
    assert EmailDomain.objects.owner_of("ana@notacme.example") is None


# --- Vouching ---------------------------------------------------------------------------------------------------------


@either_way
def test_an_administrator_may_vouch_for_a_reason_that_stays_on_record(
    way: Way, client: Client, acme: IdentityProvider
) -> None:
    row = claimed(acme)
    assert "acme.example belongs to" in way(client, row, "vouch", " their contract ")
    row.refresh_from_db()
    assert (row.proof, row.reason) == (DomainProof.VOUCHED, "their contract")
    event = Event.objects.get(kind="admin:domain:vouch")
    assert event.data["reason"] == "their contract"
    assert event.subject == "Acme Okta"


@either_way
@pytest.mark.parametrize("reason", ["", "  "])
def test_nobody_vouches_without_a_reason(way: Way, reason: str, client: Client, acme: IdentityProvider) -> None:
    row = claimed(acme)
    assert "Say why you vouch for this domain: the reason stays on record." in way(client, row, "vouch", reason)
    assert EmailDomain.objects.owner_of("ana@acme.example") is None


def test_vouching_by_command_claims_in_the_same_step_or_not_at_all(acme: IdentityProvider) -> None:
    assert "Say why" in refusal("vouch", "acme", "acme.example")
    assert not EmailDomain.objects.exists()
    command("vouch", "acme", "acme.example", "--reason", "their contract")
    assert kinds() == ["admin:domain:claim", "admin:domain:vouch"]


@either_way
def test_vouching_for_what_counts_already_changes_nothing(
    way: Way, client: Client, acme: IdentityProvider, dns: DnsServer
) -> None:
    row = claimed(acme)
    dns.records[row.record_name] = [f'"{row.record_value}"']
    way(client, row, "verify")
    before = EmailDomain.objects.values().get()
    assert "acme.example belongs to" in way(client, row, "vouch", "another reason")
    assert EmailDomain.objects.values().get() == before


@either_way
def test_one_domain_has_one_identity_provider(
    way: Way, client: Client, acme: IdentityProvider, globex: IdentityProvider, dns: DnsServer
) -> None:
    way(client, claimed(acme), "vouch", "their contract")
    row = claimed(globex)
    dns.records[row.record_name] = [f'"{row.record_value}"']
    for step in ("verify", "vouch"):
        said = way(client, row, step, "they say so")
        assert "acme.example belongs to Acme Okta already. One domain has one identity provider" in said
    row.refresh_from_db()
    assert (row.verified_at, row.proof, row.reason) == (None, "", "")
    assert EmailDomain.objects.owner_of("ana@acme.example") == acme


# --- Releasing and listing --------------------------------------------------------------------------------------------


def test_a_released_domain_is_free_for_another(
    client: Client, acme: IdentityProvider, globex: IdentityProvider
) -> None:
    command("vouch", "acme", "acme.example", "--reason", "their contract")
    assert command("release", "acme", "ACME.example") == "acme.example is released.\n"
    assert EmailDomain.objects.owner_of("ana@acme.example") is None
    command("vouch", "globex", "acme.example", "--reason", "they bought it")
    row = EmailDomain.objects.get()
    answer = client.post(f"{LIST}{row.pk}/delete/", {"post": "yes"})
    assert answer.status_code == 302
    assert not EmailDomain.objects.exists()
    assert kinds().count("admin:domain:release") == 2


@pytest.mark.parametrize("step", ["verify", "release"])
def test_only_what_is_claimed_can_be_verified_or_released(
    step: str, acme: IdentityProvider, globex: IdentityProvider
) -> None:
    claimed(globex)
    assert refusal(step, "acme", "acme.example") == (
        "Acme Okta does not claim acme.example. Claim it first: idp domain add acme acme.example"
    )


@pytest.mark.parametrize("step", ["add", "verify", "vouch", "release"])
def test_the_command_needs_a_domain(step: str, acme: IdentityProvider) -> None:
    assert refusal(step, "acme") == f"Name the domain: idp domain {step} acme example.com"


def test_the_list_says_what_counts_and_why(acme: IdentityProvider, client: Client) -> None:
    command("vouch", "acme", "acme.example", "--reason", "their contract")
    command("add", "acme", "b.example")
    assert command("list", "acme") == (
        "acme.example  verified by an administrator's word (their contract)\nb.example  claimed, not verified\n"
    )
    out = io.StringIO()
    call_command("idp", "show", "acme", stdout=out)
    assert "E-mail domain:    acme.example (verified)" in out.getvalue()
    assert "acme.example" not in text(client.get(LIST, {"state": "claimed"})).partition("result_list")[2]
    assert "b.example" not in text(client.get(LIST, {"state": "verified"})).partition("result_list")[2]
    page = text(client.get(LIST))
    assert "acme.example" in page
    assert "b.example" in page


def test_the_page_of_an_identity_provider_lists_its_domains(
    acme: IdentityProvider, globex: IdentityProvider, client: Client
) -> None:
    row, other = claimed(acme), claimed(globex, "globex.example")
    page = text(client.get(reverse("admin:saml_sp_identityprovider_change", args=[acme.pk])))
    assert f'<a href="{LIST}{row.pk}/change/">acme.example (claimed)</a>' in page
    assert f'<a href="{LIST}add/?idp={acme.pk}">' in page
    assert str(other) not in page
    assert f'<option value="{acme.pk}" selected>' in text(client.get(f"{LIST}add/", {"idp": acme.pk}))


# --- Who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rights", [[], ["view"], ["view", "add", "delete"]])
def test_staff_without_the_right_may_not(rights: list[str], acme: IdentityProvider) -> None:
    person = factories.user("clerk@portico.example", is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=[f"{right}_emaildomain" for right in rights]))
    clerk = Client()
    let_in(clerk, person)
    row = claimed(acme)
    for step in ("verify", "vouch"):
        assert clerk.post(f"{LIST}{row.pk}/{step}/", {"reason": "because"}).status_code == 403
    assert clerk.get(f"{LIST}add/").status_code == (200 if "add" in rights else 403)
    assert clerk.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == (302 if "delete" in rights else 403)
    page = clerk.get(f"{LIST}{row.pk}/change/")
    assert "Look into the DNS now" not in text(page)
    assert not EmailDomain.objects.verified().exists()


def test_staff_with_the_right_may(acme: IdentityProvider) -> None:
    person = factories.user("clerk@portico.example", is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=["view_emaildomain", "change_emaildomain"]))
    clerk = Client()
    let_in(clerk, person)
    row = claimed(acme)
    assert "Look into the DNS now" in text(clerk.get(f"{LIST}{row.pk}/change/"))
    by_button(clerk, row, "vouch", "their contract")
    assert EmailDomain.objects.owner_of("ana@acme.example") == acme
    assert "Look into the DNS now" not in text(clerk.get(f"{LIST}{row.pk}/change/"))


def test_strangers_and_links_do_nothing(client: Client, acme: IdentityProvider) -> None:
    row = claimed(acme)
    assert Client().post(f"{LIST}{row.pk}/vouch/", {"reason": "because"}).status_code == 302
    assert client.get(f"{LIST}{row.pk}/vouch/", {"reason": "because"}).status_code == 405
    assert client.post(f"{LIST}{row.pk + 1}/vouch/", {"reason": "because"}).status_code == 404
    forged = Client(enforce_csrf_checks=True)
    let_in(forged, factories.user("two@portico.example", is_staff=True, is_superuser=True))
    assert forged.post(f"{LIST}{row.pk}/vouch/", {"reason": "because"}).status_code == 403
    assert not EmailDomain.objects.verified().exists()


def test_a_claim_is_not_edited(client: Client, acme: IdentityProvider) -> None:
    row = claimed(acme)
    before = EmailDomain.objects.values().get()
    client.post(f"{LIST}{row.pk}/change/", {"domain": "other.example", "verified_at": timezone.now()})
    assert EmailDomain.objects.values().get() == before


# --- At the same moment -----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_two_identity_providers_that_verify_a_domain_at_once_one_gets_it(
    acme: IdentityProvider, globex: IdentityProvider, dns: DnsServer
) -> None:
    rows = [claimed(idp) for idp in (acme, globex)]
    dns.records[rows[0].record_name] = [f'"{row.record_value}"' for row in rows]
    barrier = threading.Barrier(2, timeout=20)

    def verify(row: EmailDomain) -> str:
        try:
            barrier.wait()
            domains.verify(row, now=timezone.now(), actor=ACTOR)
        except domains.DomainRefused as refused:
            return str(refused)
        finally:
            connection.close()
        return ""

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(verify, rows))
    owner = EmailDomain.objects.verified().get().idp
    assert sorted(map(bool, said)) == [False, True]
    assert f"acme.example belongs to {owner} already." in max(said)
    assert kinds().count("admin:domain:verify") == 1


@pytest.mark.django_db(transaction=True)
def test_a_claim_made_twice_at_once_is_one(acme: IdentityProvider) -> None:
    barrier = threading.Barrier(4, timeout=20)

    def claim(_number: int) -> int:
        try:
            barrier.wait()
            return claimed(acme).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(claim, range(4)))) == 1
    assert kinds() == ["admin:domain:claim"]


def test_a_claim_released_while_the_dns_was_asked_does_not_come_back(acme: IdentityProvider) -> None:
    row = claimed(acme)
    domains.release(EmailDomain.objects.get(), now=timezone.now(), actor=ACTOR)
    with pytest.raises(domains.DomainRefused, match=r"The domain acme\.example was released a moment ago\."):
        domains.vouch(row, "their contract", now=timezone.now() + timedelta(seconds=1), actor=ACTOR)
    assert not EmailDomain.objects.exists()
