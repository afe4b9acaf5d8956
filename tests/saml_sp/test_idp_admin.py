"""Configuring identity providers in the admin, through its own pages."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from accounts.models import Session, User
from audit.models import Event
from saml_sp.models import FederatedIdentity, IdentityProvider, SamlSession, SignInAttempt, SpentAssertion
from tests.door import let_in
from tests.idp_metadata import certificate, der, entities, entity, expired, key_descriptor, pem, role

if TYPE_CHECKING:
    from django.http.response import HttpResponseBase

pytestmark = pytest.mark.django_db

ADD = "/admin/saml_sp/identityprovider/add/"
LIST = "/admin/saml_sp/identityprovider/"
IDENTITIES = "/admin/saml_sp/federatedidentity/"
ATTEMPTS = "/admin/saml_sp/signinattempt/"
BY_HAND = {"entity_id": "https://idp.example.com/entity", "sso_url": "https://idp.example.com/sso"}


@pytest.fixture
def administrator() -> User:
    return User.objects.create_superuser("root@example.com")


@pytest.fixture
def client(administrator: User) -> Client:
    signed_in = Client()
    let_in(signed_in, administrator)
    return signed_in


@pytest.fixture
def draft() -> IdentityProvider:
    return IdentityProvider.objects.draft("acme", "Acme Okta")


def page(idp: IdentityProvider) -> str:
    return reverse("admin:saml_sp_identityprovider_change", args=[idp.pk])


def form(idp: IdentityProvider, **changed: Any) -> dict[str, Any]:
    """What a browser sends for this page as it stands, with some fields changed; None unticks or empties one."""
    names = (
        "description", "entity_id", "sso_url", "sso_binding", "slo_url", "slo_binding", "slo_response_url",
        "portal_url", "contact", "tolerance_s", "session_hours", "name_id_format", "authn_contexts",
        "level_ceiling",
    )  # fmt: skip
    fields = {name: getattr(idp, name) for name in names}
    switches = (
        "enabled", "jit", "idp_initiated", "sp_initiated", "is_default", "show_on_sign_in", "sign_requests",
        "force_authn",
    )  # fmt: skip
    fields |= {name: "on" for name in switches if getattr(idp, name)}
    held = list(idp.certificates.all())
    fields |= {
        "certificates-TOTAL_FORMS": len(held) + 1,
        "certificates-INITIAL_FORMS": len(held),
        "certificates-MIN_NUM_FORMS": 0,
        "certificates-MAX_NUM_FORMS": 1000,
    }
    for number, row in enumerate(held):
        fields |= {f"certificates-{number}-id": row.pk, f"certificates-{number}-idp": idp.pk}
    fields |= {f"certificates-{len(held)}-idp": idp.pk, f"certificates-{len(held)}-pem": ""}
    fields |= {"group_rules-TOTAL_FORMS": 0, "group_rules-INITIAL_FORMS": 0}
    return {name: value for name, value in (fields | changed).items() if value is not None}


def text(response: HttpResponseBase) -> str:
    assert isinstance(response, HttpResponse)
    return unescape(response.content.decode())


def refused(response: HttpResponseBase) -> str:
    assert response.status_code == 200
    assert "Please correct the error" in text(response)
    return text(response)


def kinds() -> list[str]:
    return list(Event.objects.order_by("id").values_list("kind", flat=True))


def upload(content: bytes, name: str = "metadata.xml") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


# --- Adding ---


def test_the_add_page_says_which_urls_follow_from_the_slug(client: Client) -> None:
    said = text(client.get(ADD))
    assert "/saml/SLUG/acs/" in said
    assert "/saml/SLUG/metadata/" in said


def test_adding_needs_a_slug_and_a_name_and_leads_to_the_urls(client: Client, administrator: User) -> None:
    response = client.post(ADD, {"slug": "acme", "description": "Acme Okta"})
    idp = IdentityProvider.objects.get()
    assert (response.status_code, response.headers["Location"]) == (302, page(idp))
    assert not idp.enabled
    said = text(client.get(page(idp)))
    for value in (idp.acs_url, idp.sp_entity_id, idp.metadata_url):
        assert f'data-copy="{value}"' in said
    assert "Single sign-on URL, Recipient URL, Destination URL, Reply URL" in said
    assert "Audience URI, Audience Restriction, Relying party trust identifier" in said
    assert 'name="slug"' not in said
    event = Event.objects.get()
    assert (event.kind, event.actor, event.actor_id) == ("admin:idp:create", "root@example.com", str(administrator.pk))
    assert (event.subject, event.data["slug"]) == ("Acme Okta", "acme")


@pytest.mark.parametrize("slug", ["", "Acme", "a b", "acs", "-a", "x" * 51])
def test_adding_refuses_a_slug_that_cannot_stand_in_a_url(client: Client, slug: str) -> None:
    refused(client.post(ADD, {"slug": slug, "description": "Acme"}))
    assert not IdentityProvider.objects.exists()


def test_adding_refuses_a_slug_or_description_that_another_has(client: Client, draft: IdentityProvider) -> None:
    said = refused(client.post(ADD, {"slug": draft.slug, "description": draft.description}))
    assert "with this Slug already exists" in said
    assert "with this Description already exists" in said


@pytest.mark.parametrize("how", ["pasted", "uploaded"])
def test_adding_takes_metadata_at_once(client: Client, how: str) -> None:
    source = {"metadata_xml": entity()} if how == "pasted" else {"metadata_file": upload(entity().encode())}
    client.post(ADD, {"slug": "acme", "description": "Acme", **source})
    idp = IdentityProvider.objects.get()
    assert (idp.entity_id, idp.sso_url, idp.enabled) == (*BY_HAND.values(), False)
    assert idp.what_is_missing(timezone.now()) == []
    assert kinds() == ["admin:idp:create"]
    assert len(Event.objects.get().data["changed"]["certificates"]["to"]) == 1


# --- Metadata ---

BAD_METADATA = [
    (b"rubbish", "not well-formed XML"),
    (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "no document type"),
    (entity('<md:SPSSODescriptor protocolSupportEnumeration="x"/>').encode(), "service provider's metadata"),
    (entity(role(keys="")).encode(), "names none"),
    (entity(role(keys=key_descriptor(expired()))).encode(), "It was valid from 2019-01-01 to 2020-01-01."),
    (entities(entity(), entity(entity_id="https://b.example")).encode(), "describes 2"),
    (entity().encode("utf-16"), "UTF-16"),
    (b"<x>" + b"rubbish " * 650_000, "longer than 1 MiB"),
]


@pytest.mark.parametrize(("content", "sentence"), BAD_METADATA)
def test_bad_metadata_gets_a_message_at_its_field_and_adds_nothing(
    client: Client, content: bytes, sentence: str
) -> None:
    said = refused(client.post(ADD, {"slug": "acme", "description": "Acme", "metadata_file": upload(content)}))
    assert sentence in said
    assert not IdentityProvider.objects.exists()
    assert kinds() == []


@pytest.mark.parametrize(("content", "sentence"), BAD_METADATA)
def test_bad_metadata_changes_nothing(client: Client, draft: IdentityProvider, content: bytes, sentence: str) -> None:
    changed = form(draft, description="New name", jit=None, metadata_file=upload(content))
    assert sentence in refused(client.post(page(draft), changed))
    assert IdentityProvider.objects.values().get(pk=draft.pk)["description"] == "Acme Okta"
    assert kinds() == []


def test_pasted_rubbish_gets_a_message_at_its_field(client: Client, draft: IdentityProvider) -> None:
    said = refused(client.post(page(draft), form(draft, metadata_xml="<a>")))
    assert "not well-formed XML" in said


def test_five_megabytes_of_pasted_rubbish_get_a_page_that_says_so(client: Client, draft: IdentityProvider) -> None:
    response = client.post(page(draft), form(draft, metadata_xml="x" * 5_000_000))
    assert response.status_code == 413
    assert "That is too large." in text(response)
    assert "nothing was saved" in text(response)


def test_metadata_is_pasted_or_uploaded_and_not_both(client: Client, draft: IdentityProvider) -> None:
    both = form(draft, metadata_xml=entity(), metadata_file=upload(entity().encode()))
    assert "not both" in refused(client.post(page(draft), both))


def test_an_empty_file_is_said_to_be_empty(client: Client, draft: IdentityProvider) -> None:
    assert "empty" in refused(client.post(page(draft), form(draft, metadata_file=upload(b""))))


def test_pasted_metadata_that_wants_signed_requests_switches_them_on(client: Client, draft: IdentityProvider) -> None:
    wants = entity(role(more=' WantAuthnRequestsSigned="true"'))
    saved = client.post(page(draft), form(draft, metadata_xml=wants), follow=True)
    draft.refresh_from_db()
    assert draft.sign_requests
    assert "there is no key pair of ours to sign with" in text(saved)


def test_metadata_wins_over_what_was_entered_by_hand_in_the_same_step(client: Client, draft: IdentityProvider) -> None:
    changed = form(
        draft, metadata_xml=entity(), entity_id="something else", sso_url="http://bad.example",
        contact="desk@example.com", **{"certificates-0-pem": pem(certificate("by hand"))},
    )  # fmt: skip
    assert client.post(page(draft), changed).status_code == 302
    idp = IdentityProvider.objects.get()
    assert (idp.entity_id, idp.sso_url, idp.contact) == (*BY_HAND.values(), "desk@example.com")
    assert idp.certificates.get().subject == "CN=signing"
    assert "Metadata replaces entity ID, URLs and all signing certificates" in text(client.get(page(draft)))


def test_metadata_and_the_switch_go_in_one_step(client: Client, draft: IdentityProvider) -> None:
    client.post(page(draft), form(draft, metadata_xml=entity(), enabled="on"))
    assert IdentityProvider.objects.get().enabled
    assert kinds() == ["admin:idp:change", "admin:idp:enable"]


def test_a_certificate_that_was_left_out_is_told(client: Client, draft: IdentityProvider) -> None:
    keys = key_descriptor(expired()) + key_descriptor(certificate())
    response = client.post(page(draft), form(draft, metadata_xml=entity(role(keys=keys))), follow=True)
    assert "One of its 2 signing certificates was left out." in text(response)


# --- By hand ---


@pytest.mark.parametrize("how", ["pasted PEM", "pasted base64", "PEM file", "DER file"])
def test_certificates_are_entered_by_hand(client: Client, draft: IdentityProvider, how: str) -> None:
    body = pem(certificate())
    entered: dict[str, dict[str, Any]] = {
        "pasted PEM": {"certificates-0-pem": body},
        "pasted base64": {"certificates-0-pem": "".join(body.splitlines()[1:-1])},
        "PEM file": {"certificates-0-file": upload(body.encode(), "idp.pem")},
        "DER file": {"certificates-0-file": upload(der(certificate()), "idp.cer")},
    }
    assert client.post(page(draft), form(draft, **BY_HAND, **entered[how], enabled="on")).status_code == 302
    idp = IdentityProvider.objects.get()
    assert idp.enabled
    assert idp.certificates.get().pem == body
    assert "days left" in text(client.get(page(idp)))


@pytest.mark.parametrize(
    ("one", "sentence"),
    [
        ({"certificates-0-pem": "rubbish!"}, "This is not a certificate."),
        ({"certificates-0-pem": pem(certificate(kind="rsa1024"))}, "Its RSA key has 1024 bits"),
        ({"certificates-0-pem": pem(certificate()) * 2}, "2 were found"),
        ({"certificates-0-file": upload(b"x" * 100_000, "idp.cer")}, "a certificate file may have 65536"),
        ({"certificates-0-file": upload(b"\x30\x82", "idp.cer")}, "not an X.509 certificate"),
        (
            {"certificates-0-pem": pem(certificate()), "certificates-0-file": upload(der(certificate()), "idp.cer")},
            "not both",
        ),
    ],
)
def test_a_bad_certificate_gets_a_message_and_saves_nothing(
    client: Client, draft: IdentityProvider, one: dict[str, Any], sentence: str
) -> None:
    for value in one.values():
        if isinstance(value, SimpleUploadedFile):
            value.seek(0)
    assert sentence in refused(client.post(page(draft), form(draft, **BY_HAND, **one)))
    assert IdentityProvider.objects.get().entity_id == ""


def test_a_certificate_is_held_once(client: Client, draft: IdentityProvider) -> None:
    draft.set_certificates([der(certificate())])
    again = form(draft, **{"certificates-1-pem": pem(certificate())})
    assert "This certificate is held already." in refused(client.post(page(draft), again))


def test_a_certificate_can_be_replaced_in_one_step(client: Client, draft: IdentityProvider) -> None:
    client.post(page(draft), form(draft, metadata_xml=entity(), enabled="on"))
    draft.refresh_from_db()
    replaced = form(draft, **{"certificates-0-DELETE": "on", "certificates-1-pem": pem(certificate("next"))})
    assert client.post(page(draft), replaced).status_code == 302
    assert draft.certificates.get().subject == "CN=next"
    assert Event.objects.order_by("id").last().data["changed"]["certificates"]["from"]  # type: ignore[union-attr]  # there is one


def test_the_last_current_certificate_of_an_enabled_one_cannot_be_removed(
    client: Client, draft: IdentityProvider
) -> None:
    client.post(page(draft), form(draft, metadata_xml=entity(), enabled="on"))
    draft.refresh_from_db()
    said = refused(client.post(page(draft), form(draft, **{"certificates-0-DELETE": "on"})))
    assert "It cannot be enabled without a signing certificate that is valid now." in said
    assert draft.certificates.count() == 1


@pytest.mark.parametrize("url", ["http://idp.example.com/", "ftp://x", "javascript:alert(1)", "x"])
def test_urls_by_hand_must_be_https(client: Client, draft: IdentityProvider, url: str) -> None:
    said = refused(client.post(page(draft), form(draft, sso_url=url, slo_url=url, portal_url=url)))
    assert said.count("https://") >= 3


def test_the_slug_does_not_change(client: Client, draft: IdentityProvider) -> None:
    client.post(page(draft), form(draft, slug="other"))
    assert IdentityProvider.objects.get().slug == "acme"


# --- The switch ---


def test_an_incomplete_one_cannot_be_enabled_and_the_page_names_what_is_missing(
    client: Client, draft: IdentityProvider
) -> None:
    said = refused(client.post(page(draft), form(draft, enabled="on")))
    assert "It cannot be enabled without its entity ID and its SSO URL." in said
    assert "a signing certificate that is valid now" in said
    assert not IdentityProvider.objects.get().enabled


def test_one_without_a_current_certificate_cannot_be_enabled(client: Client, draft: IdentityProvider) -> None:
    changed = form(draft, **BY_HAND, enabled="on", **{"certificates-0-pem": pem(expired())})
    said = refused(client.post(page(draft), changed))
    assert "It cannot be enabled without a signing certificate that is valid now." in said
    assert not IdentityProvider.objects.get().enabled


def test_disabling_ends_the_sessions_that_it_vouched_for(client: Client, draft: IdentityProvider) -> None:
    client.post(page(draft), form(draft, metadata_xml=entity(), enabled="on"))
    soon = timezone.now() + timedelta(hours=1)
    person = User.objects.create_user("ada@example.com")
    Session.objects.create(session_key="theirs", session_data="", expire_date=soon, user=person)
    SamlSession.objects.create(
        session_key="theirs", idp=draft, user=person, name_id="ada", name_id_key="x", expires_at=soon
    )
    draft.refresh_from_db()
    response = client.post(page(draft), form(draft, enabled=None), follow=True)
    assert "1 session(s) that it vouched for have ended" in text(response)
    assert not Session.objects.filter(session_key="theirs").exists()
    assert kinds()[-1] == "admin:idp:disable"


def test_saving_without_a_change_leaves_no_event(client: Client, draft: IdentityProvider) -> None:
    assert client.post(page(draft), form(draft)).status_code == 302
    assert kinds() == []


def test_a_change_is_on_record_with_both_values(client: Client, draft: IdentityProvider) -> None:
    client.post(page(draft), form(draft, jit=None))
    assert Event.objects.get().data["changed"] == {"jit": {"from": True, "to": False}}


# --- The list, and deleting ---


def test_the_list_shows_state_certificate_and_last_sign_in(client: Client, draft: IdentityProvider) -> None:
    draft.set_certificates([der(certificate())])
    row = draft.certificates.get()
    row.not_after = timezone.now() + timedelta(days=12, hours=1)
    row.save()
    person = User.objects.create_user("ada@example.com")
    moment = timezone.now().replace(year=2025, month=3, day=4)
    FederatedIdentity.objects.create(idp=draft, user=person, email_key="ada@example.com", last_sign_in=moment)
    said = text(client.get(LIST))
    assert "⚠ 12 days left" in said
    assert date_format(moment, "DATETIME_FORMAT") in said


def test_the_list_asks_the_database_as_often_for_many_as_for_one(
    client: Client, draft: IdentityProvider, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        IdentityProvider.objects.draft(f"idp-{number}").set_certificates([der(certificate())])
    with django_assert_max_num_queries(9):
        client.get(LIST)


def test_one_with_identities_is_not_deleted_and_the_page_says_why(client: Client, draft: IdentityProvider) -> None:
    person = User.objects.create_user("ada@example.com")
    FederatedIdentity.objects.create(idp=draft, user=person, email_key="ada@example.com")
    delete = reverse("admin:saml_sp_identityprovider_delete", args=[draft.pk])
    for response in (client.get(delete, follow=True), client.post(delete, {"post": "yes"}, follow=True)):
        assert "Acme Okta cannot be deleted: 1 identity belongs to it." in text(response)
    assert IdentityProvider.objects.exists()


def test_one_without_identities_is_deleted_on_record(client: Client, draft: IdentityProvider) -> None:
    SpentAssertion.objects.create(idp=draft, assertion_id="_1", expires_at=timezone.now())
    delete = reverse("admin:saml_sp_identityprovider_delete", args=[draft.pk])
    assert client.get(delete).status_code == 200
    assert client.post(delete, {"post": "yes"}).status_code == 302
    assert not IdentityProvider.objects.exists()
    assert kinds() == ["admin:idp:remove"]


# --- Sign-in attempts ---


@pytest.fixture
def attempt(draft: IdentityProvider) -> SignInAttempt:
    return SignInAttempt.objects.create(
        trace_id="ABCDE-12345", idp=draft, slug="acme", at=timezone.now(), outcome="refused", code="audience_mismatch",
        reason="Not for us.", expected="https://us.example/", received="<script>alert(1)</script>",
        cure="Register ours.", email="ada@example.com", detail={"attributes": {"Email": ["<b>"]}},
    )  # fmt: skip


@pytest.mark.parametrize("term", ["ABCDE-12345", " abcde-12345 ", "ada@example", "audience_mismatch"])
def test_an_attempt_is_found_by_trace_id_address_and_code(client: Client, attempt: SignInAttempt, term: str) -> None:
    SignInAttempt.objects.create(trace_id="OTHER", at=timezone.now(), outcome="accepted")
    said = text(client.get(ATTEMPTS, {"q": term}))
    assert attempt.trace_id in said
    assert "OTHER" not in said


@pytest.mark.parametrize("query", ["outcome__exact=refused", "code=audience_mismatch", "idp__id__exact={idp}"])
def test_attempts_are_filtered(client: Client, attempt: SignInAttempt, query: str) -> None:
    SignInAttempt.objects.create(trace_id="OTHER", at=timezone.now(), outcome="accepted")
    said = text(client.get(f"{ATTEMPTS}?{query.format(idp=attempt.idp_id)}"))
    assert attempt.trace_id in said
    assert "OTHER" not in said


def test_an_attempt_tells_reason_expected_received_and_cure_as_text(client: Client, attempt: SignInAttempt) -> None:
    raw = client.get(f"{ATTEMPTS}{attempt.pk}/change/").content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in raw
    assert "<script>alert(1)" not in raw
    assert "&lt;b&gt;" in raw
    for value in ("Not for us.", "https://us.example/", "Register ours."):
        assert value in raw


def test_attempts_are_neither_added_nor_changed_nor_deleted(client: Client, attempt: SignInAttempt) -> None:
    one = f"{ATTEMPTS}{attempt.pk}/"
    for method, path in (("get", f"{ATTEMPTS}add/"), ("post", f"{one}change/"), ("post", f"{one}delete/")):
        assert getattr(client, method)(path, {"post": "yes"} if method == "post" else None).status_code == 403
    assert "delete_selected" not in text(client.get(ATTEMPTS))


# --- Identities ---


def test_a_pending_identity_is_added_with_the_users_own_address(client: Client, draft: IdentityProvider) -> None:
    person = User.objects.create_user("Ada@Example.com")
    response = client.post(f"{IDENTITIES}add/", {"idp": draft.pk, "user": str(person.pk), "email_key": ""})
    assert response.status_code == 302, text(response)
    identity = FederatedIdentity.objects.get()
    assert (identity.user, identity.email_key, identity.pending) == (person, "ada@example.com", True)
    event = Event.objects.get()
    assert (event.kind, event.subject, event.data["idp"]) == ("admin:identity:invite", "Ada@Example.com", "acme")


def test_a_pending_identity_may_have_another_address(client: Client, draft: IdentityProvider) -> None:
    person = User.objects.create_user("ada@example.com")
    client.post(f"{IDENTITIES}add/", {"idp": draft.pk, "user": str(person.pk), "email_key": "Ada.L@Customer.example"})
    assert FederatedIdentity.objects.get().email_key == "ada.l@customer.example"


@pytest.mark.parametrize(("subject", "said"), [(None, "awaits its first sign-in"), ("0815", "is in use")])
def test_an_address_is_given_once_at_an_identity_provider(
    client: Client, draft: IdentityProvider, subject: str | None, said: str
) -> None:
    person = User.objects.create_user("ada@example.com")
    other = User.objects.create_user("bob@example.com")
    FederatedIdentity.objects.create(
        idp=draft, user=other, email_key="ada@example.com", subject=subject, subject_key=subject
    )
    response = client.post(
        f"{IDENTITIES}add/", {"idp": draft.pk, "user": str(person.pk), "email_key": "ADA@example.com"}
    )
    assert f"belongs to bob@example.com already and {said}. Remove that identity first." in refused(response)
    assert FederatedIdentity.objects.count() == 1


@pytest.mark.parametrize("email", ["ada", "ada@example.com,bob@example.com", "Ada <ada@example.com>"])
def test_a_pending_identity_needs_a_plain_address(client: Client, draft: IdentityProvider, email: str) -> None:
    person = User.objects.create_user("ada@example.com")
    refused(client.post(f"{IDENTITIES}add/", {"idp": draft.pk, "user": str(person.pk), "email_key": email}))


def test_an_identity_shows_its_name_id_and_cannot_be_edited(client: Client, draft: IdentityProvider) -> None:
    person = User.objects.create_user("ada@example.com")
    identity = FederatedIdentity.objects.create(
        idp=draft, user=person, email_key="ada@example.com", subject="0815-subject", subject_key="k"
    )
    one = f"{IDENTITIES}{identity.pk}/change/"
    said = text(client.get(one))
    assert "0815-subject" in said
    assert 'name="email_key"' not in said
    assert client.post(one, {"email_key": "x@example.com"}).status_code == 403
    assert "0815-subject" not in text(client.get(IDENTITIES))
    assert "ada@example.com" in text(client.get(IDENTITIES, {"state": "bound"}))
    assert "ada@example.com" not in text(client.get(IDENTITIES, {"state": "pending"})).partition("result_list")[2]


@pytest.mark.parametrize("how", ["its page", "the list"])
def test_removing_an_identity_ends_its_sessions_on_record(client: Client, draft: IdentityProvider, how: str) -> None:
    person = User.objects.create_user("ada@example.com")
    identity = FederatedIdentity.objects.create(idp=draft, user=person, email_key="ada@example.com", subject="s")
    soon = timezone.now() + timedelta(hours=1)
    Session.objects.create(session_key="theirs", session_data="", expire_date=soon, user=person)
    SamlSession.objects.create(
        session_key="theirs", idp=draft, user=person, name_id="s", name_id_key="x", expires_at=soon
    )
    if how == "its page":
        response = client.post(f"{IDENTITIES}{identity.pk}/delete/", {"post": "yes"}, follow=True)
    else:
        chosen = {"action": "delete_selected", "_selected_action": [identity.pk], "post": "yes"}
        response = client.post(IDENTITIES, chosen, follow=True)
    assert "1 session(s) ended" in text(response)
    assert not FederatedIdentity.objects.exists()
    assert not Session.objects.filter(session_key="theirs").exists()
    assert kinds() == ["admin:identity:remove"]
    assert Event.objects.get().data["subject"] == "s"


# --- The audit log ---


def test_the_audit_log_is_read_and_not_written(client: Client, draft: IdentityProvider) -> None:
    client.post(page(draft), form(draft, jit=None))
    event = Event.objects.get()
    assert "admin:idp:change" in text(client.get("/admin/audit/event/", {"kind": "admin:idp:change", "q": "Acme"}))
    one = f"/admin/audit/event/{event.pk}/"
    assert "admin:idp:change" in text(client.get(f"{one}change/"))
    assert client.post(f"{one}change/", {}).status_code == 403
    assert client.post(f"{one}delete/", {"post": "yes"}).status_code == 403
    assert client.get("/admin/audit/event/add/").status_code == 403


def test_nobody_but_staff_sees_these_pages(draft: IdentityProvider) -> None:
    person = User.objects.create_user("ada@example.com")
    visitor = Client()
    let_in(visitor, person)
    for path in (LIST, page(draft), ATTEMPTS, IDENTITIES, "/admin/audit/event/"):
        assert visitor.get(path).status_code == 302
