"""Reading identity providers' metadata, and writing ours."""

from __future__ import annotations

import codecs
from datetime import timedelta

import pytest

from saml_sp.protocol import gate, metadata
from saml_sp.protocol.errors import MetadataRefused
from saml_sp.protocol.types import Binding, SpDescription, SpProfile
from tests.idp_metadata import (
    ARTIFACT,
    ENTITY_ID,
    NOW,
    POST,
    REDIRECT,
    SAML2,
    SOAP,
    SP_ROLE,
    SSO,
    certificate,
    der,
    endpoint,
    entities,
    entity,
    expired,
    key_descriptor,
    pem,
    role,
)


def read(xml: str | bytes) -> metadata.IdpMetadata:
    return metadata.read_idp(xml.encode() if isinstance(xml, str) else xml, NOW)


def refusal(xml: str | bytes) -> str:
    with pytest.raises(MetadataRefused) as caught:
        read(xml)
    sentence = str(caught.value)
    # What it says goes to a page and a terminal.
    assert sentence.isprintable()
    assert sentence.endswith(".")
    return sentence


# --- Documents as products write them ---


def test_it_reads_an_okta_shaped_document() -> None:
    found = read(
        '<?xml version="1.0" encoding="UTF-8"?>'
        + entity(
            role(
                more=' WantAuthnRequestsSigned="false"',
                formats="<md:NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified</md:NameIDFormat>"
                "<md:NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress</md:NameIDFormat>",
                sso=endpoint("SingleSignOnService", POST, "https://acme.okta.example/app/acme_portico_1/exk1/sso/saml")
                + endpoint(
                    "SingleSignOnService", REDIRECT, "https://acme.okta.example/app/acme_portico_1/exk1/sso/saml"
                ),
            ),
            entity_id="http://www.okta.example/exk1",
        )
    )
    assert found == metadata.IdpMetadata(
        entity_id="http://www.okta.example/exk1",
        sso_url="https://acme.okta.example/app/acme_portico_1/exk1/sso/saml",
        sso_binding=Binding.REDIRECT,
        slo_url="",
        slo_binding=Binding.REDIRECT,
        slo_response_url="",
        certificates=(der(certificate()),),
        wants_signed_requests=False,
        name_id_formats=(
            "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
            "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
        ),
    )


FED_ROLES = (
    '<md:RoleDescriptor xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xmlns:fed="http://docs.oasis-open.org/wsfed/federation/200706" xsi:type="fed:SecurityTokenServiceType" '
    'protocolSupportEnumeration="http://docs.oasis-open.org/wsfed/federation/200706">'
    "<fed:ClaimTypesOffered/></md:RoleDescriptor>"
)
OWN_SIGNATURE = (
    '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo><Reference URI="#_1"/></SignedInfo>'
    "<SignatureValue>not verified</SignatureValue></Signature>"
)


def test_it_reads_an_ad_fs_shaped_document_with_federation_roles_a_signature_and_a_service_provider() -> None:
    both = endpoint("SingleSignOnService", REDIRECT, "https://fs.example.com/adfs/ls/") + endpoint(
        "SingleSignOnService", POST, "https://fs.example.com/adfs/ls/"
    )
    logout = endpoint("SingleLogoutService", REDIRECT, "https://fs.example.com/adfs/ls/") + endpoint(
        "SingleLogoutService", POST, "https://fs.example.com/adfs/ls/"
    )
    keys = key_descriptor(certificate("encryption"), ' use="encryption"') + key_descriptor(certificate(), per_line=9999)
    document = entity(
        OWN_SIGNATURE, FED_ROLES, SP_ROLE, role(keys=keys, sso=both, slo=logout),
        entity_id="http://fs.example.com/adfs/services/trust", more=' ID="_1"',
    )  # fmt: skip
    found = read(codecs.BOM_UTF8 + document.encode())
    assert found.entity_id == "http://fs.example.com/adfs/services/trust"
    assert found.slo_url == "https://fs.example.com/adfs/ls/"
    assert found.certificates == (der(certificate()),)


def test_it_reads_an_entra_shaped_document_with_two_certificates_for_rollover() -> None:
    coming = certificate("next", not_before=NOW + timedelta(days=3))
    keys = key_descriptor(certificate(kind="rsa2048")) + key_descriptor(coming)
    base = "https://login.example.com/0c0ffee0-0000-4000-8000-000000000000"
    found = read(
        '<?xml version="1.0" encoding="utf-8"?>'
        + entity(
            FED_ROLES,
            role(
                keys=keys,
                slo=endpoint("SingleLogoutService", REDIRECT, f"{base}/saml2"),
                sso=endpoint("SingleSignOnService", REDIRECT, f"{base}/saml2")
                + endpoint("SingleSignOnService", POST, f"{base}/saml2"),
            ),
            entity_id="https://sts.example.com/0c0ffee0-0000-4000-8000-000000000000/",
        )
    )
    assert found.certificates == (der(certificate(kind="rsa2048")), der(coming))
    assert found.notes == ()
    assert metadata.fingerprints(found)[0] == certificate(kind="rsa2048").fingerprint(
        certificate().signature_hash_algorithm  # type: ignore[arg-type]  # SHA-256, as it was made
    ).hex()  # fmt: skip


def test_it_reads_a_keycloak_shaped_document_with_every_binding_and_signed_requests() -> None:
    base = "https://sso.example.com/realms/acme/protocol/saml"
    found = read(
        entity(
            role(
                more=' WantAuthnRequestsSigned="true"',
                slo=endpoint("SingleLogoutService", POST, base)
                + endpoint("SingleLogoutService", REDIRECT, base, f' ResponseLocation="{base}/done"')
                + endpoint("SingleLogoutService", ARTIFACT, base)
                + endpoint("SingleLogoutService", SOAP, base),
                sso=endpoint("SingleSignOnService", POST, base)
                + endpoint("SingleSignOnService", REDIRECT, base)
                + endpoint("SingleSignOnService", SOAP, base)
                + endpoint("SingleSignOnService", ARTIFACT, base),
            )
        )
    )
    assert found.wants_signed_requests
    assert (found.sso_url, found.sso_binding) == (base, Binding.REDIRECT)
    assert (found.slo_url, found.slo_binding, found.slo_response_url) == (base, Binding.REDIRECT, f"{base}/done")


def test_it_reads_a_shibboleth_shaped_document_with_comments_saml1_and_scopes() -> None:
    shibboleth1 = "urn:mace:shibboleth:1.0:profiles:AuthnRequest"
    document = "\r\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            "<!-- Made once, by the installer: review it. -->",
            entity(
                role(
                    protocols=f"{SAML2} urn:oasis:names:tc:SAML:1.1:protocol",
                    keys="<md:Extensions><shibmd:Scope xmlns:shibmd='urn:mace:shibboleth:metadata:1.0'>example.edu"
                    "</shibmd:Scope></md:Extensions><!-- both channels -->" + key_descriptor(certificate(), use=""),
                    sso=endpoint(
                        "SingleSignOnService", shibboleth1, "https://idp.example.edu/idp/profile/Shibboleth/SSO"
                    )
                    + endpoint("SingleSignOnService", POST, "https://idp.example.edu/idp/profile/SAML2/POST/SSO"),
                ),
                f'<md:AttributeAuthorityDescriptor protocolSupportEnumeration="{SAML2}"/>',
                entity_id="https://idp.example.edu/idp/shibboleth",
            ),
        ]
    )
    found = read(document)
    assert (found.sso_url, found.sso_binding) == ("https://idp.example.edu/idp/profile/SAML2/POST/SSO", Binding.POST)
    assert found.certificates == (der(certificate()),)


def test_it_takes_the_one_identity_provider_out_of_a_federation_of_service_providers() -> None:
    found = read(entities(entity(SP_ROLE, entity_id="https://a.example"), entities(entity()), entity(SP_ROLE)))
    assert found.entity_id == ENTITY_ID


def test_it_takes_the_saml2_role_of_an_entity_that_has_an_older_one_beside_it() -> None:
    older = role(
        protocols="urn:oasis:names:tc:SAML:1.1:protocol", sso=endpoint("SingleSignOnService", SOAP, "https://x.example")
    )
    assert read(entity(older, role())).sso_url == "https://idp.example.com/sso"


def test_it_accepts_plain_http_on_a_loopback_host() -> None:
    local = endpoint("SingleSignOnService", REDIRECT, " http://localhost:8100/sso ")
    assert read(entity(role(sso=local))).sso_url == "http://localhost:8100/sso"


def test_it_accepts_blanks_around_a_pasted_document() -> None:
    assert read('\n\n  <?xml version="1.0"?>\n' + entity() + "\n\n").entity_id == ENTITY_ID


# --- What is not metadata at all ---


def test_it_refuses_a_document_beyond_the_cap_before_reading_it() -> None:
    assert "longer than 1 MiB" in refusal(b"\x00" * (5 * 1024 * 1024))
    assert "longer than 1 MiB" in refusal(entity() + " " * metadata.MAX_BYTES)


@pytest.mark.parametrize("empty", ["", "   \n\t", "\ufeff", "\ufeff \n"])
def test_it_refuses_an_empty_document(empty: str) -> None:
    assert "This is empty" in refusal(empty)


@pytest.mark.parametrize(
    "rubbish",
    [
        "rubbish",
        "{}",
        "<md:EntityDescriptor>",
        entity()[:-30],
        "https://idp.example.com/metadata",
        "<a>\x01</a>",
        "<a><b></a>",
    ],
)
def test_it_refuses_what_is_not_xml(rubbish: str) -> None:
    assert "not well-formed XML" in refusal(rubbish)


@pytest.mark.parametrize("page", ["<!DOCTYPE html><html><body>Sign in</body></html>", "<html><body/></html>"])
def test_it_refuses_a_web_page_by_its_name(page: str) -> None:
    assert "This is an HTML page" in refusal(page)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_it_refuses_wide_encodings(encoding: str) -> None:
    assert "UTF-16 or UTF-32" in refusal(('<?xml version="1.0" encoding="UTF-16"?>' + entity()).encode(encoding))


def test_it_refuses_an_encoding_that_the_document_declares_to_be_another() -> None:
    sentence = refusal('<?xml version="1.0" encoding="ISO-8859-1"?>' + entity())
    assert "UTF-8 is expected" in sentence
    assert "ISO-8859-1" in sentence


def test_it_refuses_bytes_that_are_not_utf8() -> None:
    assert "UTF-8 is expected" in refusal(entity(entity_id="https://idp.example/ü").encode("latin-1"))


@pytest.mark.parametrize(
    "dtd",
    [
        '<!DOCTYPE x SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE x [<!ENTITY a "b">]>',
        '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x"> %p;]>',
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>',
    ],
)
def test_it_refuses_document_types_and_entities(dtd: str) -> None:
    assert "no document type or entity declarations" in refusal(f'<?xml version="1.0"?>{dtd}{entity()}')


def test_it_refuses_an_entity_that_nothing_declares() -> None:
    assert "not well-formed XML" in refusal(entity(entity_id="&xxe;"))


def test_it_never_includes_what_xinclude_points_at(tmp_path: object) -> None:
    include = f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" parse="text" href="file://{tmp_path}"/>'
    assert read(entity(include, role())).entity_id == ENTITY_ID


def test_it_refuses_nesting_deeper_than_the_parser_goes() -> None:
    assert "not well-formed XML" in refusal("<a>" * 5000 + "</a>" * 5000)


def test_its_parser_drops_comments_and_processing_instructions_so_that_text_is_whole() -> None:
    root = gate.parse(b"<?a b?><x>on<!-- <!-ENTITY -->e<?c d?> text</x>", strict=False)
    assert root.text == "one text"
    assert len(root) == 0


# --- Metadata, but not of one identity provider that can be used ---


def test_it_refuses_a_service_providers_metadata() -> None:
    sentence = refusal(entity(SP_ROLE, entity_id="https://sp.example.com"))
    assert "This is a service provider's metadata (entity ID https://sp.example.com)" in sentence


def test_it_refuses_our_own_metadata_as_a_service_providers() -> None:
    sp = SpProfile(entity_id="https://portico.example/saml/a/metadata/", acs_url="https://portico.example/saml/a/acs/")
    ours = metadata.sp_metadata(SpDescription(sp), NOW)
    assert "service provider's metadata" in refusal(ours)


def test_it_refuses_two_identity_providers_in_one_file_and_names_them() -> None:
    sentence = refusal(entities(entity(entity_id="https://a.example"), entity(entity_id="https://b.example")))
    assert "describes 2: https://a.example, https://b.example." in sentence


def test_it_names_only_three_of_many_identity_providers() -> None:
    sentence = refusal(entities(*(entity(entity_id=f"https://{number}.example") for number in range(9))))
    assert "describes 9: https://0.example, https://1.example, https://2.example …" in sentence


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ('<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"/>', "“Response”"),
        (entity().replace("2.0:metadata", "1.1:metadata"), "“EntityDescriptor”"),
    ],
)
def test_it_refuses_another_document(document: str, named: str) -> None:
    sentence = refusal(document)
    assert "EntityDescriptor is expected" in sentence
    assert named in sentence


@pytest.mark.parametrize("document", [entity(FED_ROLES), entities()])
def test_it_refuses_a_document_without_any_saml_role(document: str) -> None:
    assert "no IDPSSODescriptor" in refusal(document)


def test_it_refuses_an_identity_provider_that_does_not_speak_saml2() -> None:
    assert "does not say that it speaks SAML 2.0" in refusal(
        entity(role(protocols="urn:oasis:names:tc:SAML:1.1:protocol"))
    )


def test_it_refuses_two_saml2_roles_in_one_entity() -> None:
    assert "has 2" in refusal(entity(role(), role()))


@pytest.mark.parametrize("entity_id", ["", " ", "two words", "a\tb", "x" * 1025])
def test_it_refuses_an_entity_id_that_is_no_name(entity_id: str) -> None:
    assert "Its entityID should be" in refusal(entity(entity_id=entity_id))


def test_it_refuses_an_entity_without_an_entity_id() -> None:
    assert "Its entityID should be" in refusal(entity().replace(f' entityID="{ENTITY_ID}"', ""))


# --- Validity ---


@pytest.mark.parametrize("place", ["entity", "role", "entities"])
def test_it_refuses_metadata_that_has_run_out_wherever_that_is_said(place: str) -> None:
    past = ' validUntil="2026-11-21T08:30:00.000Z"'
    document = entities(
        entity(role(more=past * (place == "role")), more=past * (place == "entity")), more=past * (place == "entities")
    )
    assert "valid until 2026-11-21 08:30 UTC" in refusal(document)


def test_it_accepts_metadata_that_has_not_run_out() -> None:
    assert read(entity(more=' validUntil="2026-11-22T13:00:01+01:00" cacheDuration="PT1H"')).entity_id == ENTITY_ID


@pytest.mark.parametrize("text", ["", "tomorrow", "2030-01-01", "2030-13-01T00:00:00Z", "2030-01-01T00:00:00"])
def test_it_refuses_a_valid_until_that_cannot_be_read(text: str) -> None:
    assert "Its validUntil should be" in refusal(entity(more=f' validUntil="{text}"'))


# --- Endpoints ---


@pytest.mark.parametrize(
    ("sso", "had"),
    [
        ("", "has none"),
        (endpoint("SingleSignOnService", SOAP, "https://idp.example.com/soap"), "has SOAP"),
        (
            endpoint("SingleSignOnService", SOAP, "https://a.example")
            + endpoint("SingleSignOnService", ARTIFACT, "https://a.example"),
            "has SOAP, HTTP-Artifact",
        ),
    ],
)
def test_it_refuses_an_identity_provider_that_no_browser_can_be_sent_to(sso: str, had: str) -> None:
    sentence = refusal(entity(role(sso=sso)))
    assert "HTTP-Redirect or HTTP-POST binding is expected" in sentence
    assert had in sentence


BAD_URLS = [
    "http://idp.example.com/sso",
    "javascript:alert(1)",
    "/sso",
    "",
    "https://user:secret@idp.example.com/",
    "https://idp.example.com/#x",
    "https://idp.example.com/" + "x" * 2048,
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_it_refuses_an_sso_url_that_is_no_https_url(url: str) -> None:
    sentence = refusal(entity(role(sso=endpoint("SingleSignOnService", REDIRECT, url))))
    assert "The Location of its SingleSignOnService" in sentence


@pytest.mark.parametrize("url", BAD_URLS)
def test_it_refuses_an_slo_url_that_is_no_https_url(url: str) -> None:
    sentence = refusal(entity(role(slo=endpoint("SingleLogoutService", REDIRECT, url))))
    assert "The Location of its SingleLogoutService" in sentence


def test_it_refuses_an_slo_response_url_that_is_no_https_url() -> None:
    slo = endpoint(
        "SingleLogoutService", POST, "https://idp.example.com/slo", ' ResponseLocation="http://idp.example.com/"'
    )
    assert "The ResponseLocation of its SingleLogoutService" in refusal(entity(role(slo=slo)))


def test_it_does_without_logout_by_soap() -> None:
    found = read(entity(role(slo=endpoint("SingleLogoutService", SOAP, "https://idp.example.com/slo"))))
    assert found.slo_url == ""


# --- Certificates ---


@pytest.mark.parametrize(
    "keys", ["", key_descriptor(certificate(), ' use="encryption"'), '<md:KeyDescriptor use="signing"/>']
)
def test_it_refuses_an_identity_provider_without_a_signing_certificate(keys: str) -> None:
    assert "names none" in refusal(entity(role(keys=keys)))


def test_it_refuses_an_identity_provider_whose_only_certificate_is_expired_and_says_the_dates() -> None:
    sentence = refusal(entity(role(keys=key_descriptor(expired()))))
    assert "valid now is expected, and there is none. It was valid from 2019-01-01 to 2020-01-01." in sentence


def test_it_refuses_an_identity_provider_whose_only_certificate_is_yet_to_come() -> None:
    coming = certificate("next", not_before=NOW + timedelta(days=3))
    assert "It is valid from 2026-11-25 to" in refusal(entity(role(keys=key_descriptor(coming))))


@pytest.mark.parametrize(("kind", "said"), [("rsa1024", "1024 bits"), ("ed25519", "neither RSA nor on the curves")])
def test_it_refuses_keys_that_are_too_weak_or_of_another_kind(kind: str, said: str) -> None:
    assert said in refusal(entity(role(keys=key_descriptor(certificate(kind=kind)))))


def test_it_numbers_the_faults_of_several_certificates() -> None:
    keys = key_descriptor(expired()) + key_descriptor(certificate(kind="rsa1024"))
    sentence = refusal(entity(role(keys=keys)))
    assert "Certificate 1: It was valid from" in sentence
    assert "Certificate 2: Its RSA key has 1024 bits" in sentence


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "é", "-----BEGIN PRIVATE KEY-----"])
def test_it_refuses_what_is_no_certificate(text: str) -> None:
    good = key_descriptor(certificate())
    start, end = good.index("<ds:X509Certificate>") + len("<ds:X509Certificate>"), good.index("</ds:X509Certificate>")
    assert "valid now is expected, and there is none" in refusal(entity(role(keys=good[:start] + text + good[end:])))


def test_it_does_not_list_every_fault_of_a_thousand_certificates() -> None:
    keys = (
        '<md:KeyDescriptor><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>'
        + "<ds:X509Certificate>AAAA</ds:X509Certificate>" * 1000
        + "</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )
    assert len(refusal(entity(role(keys=keys)))) < 1000
    assert len(read(entity(role(keys=key_descriptor(certificate()) + keys))).notes) == 3


def test_it_leaves_out_an_expired_certificate_beside_a_good_one_and_says_so() -> None:
    found = read(entity(role(keys=key_descriptor(expired()) + key_descriptor(certificate()))))
    assert found.certificates == (der(certificate()),)
    assert found.notes == (
        "One of its 2 signing certificates was left out. It was valid from 2019-01-01 to 2020-01-01.",
    )


def test_it_takes_a_certificate_that_is_named_twice_once() -> None:
    twice = key_descriptor(certificate()) + key_descriptor(certificate(), use="")
    assert read(entity(role(keys=twice))).certificates == (der(certificate()),)


def test_it_accepts_a_certificate_with_pem_headers_inside() -> None:
    good = key_descriptor(certificate())
    start, end = good.index("<ds:X509Certificate>") + len("<ds:X509Certificate>"), good.index("</ds:X509Certificate>")
    assert read(entity(role(keys=good[:start] + pem(certificate()) + good[end:]))).certificates == (der(certificate()),)


def test_the_shortest_identity_provider_needs_no_more_than_this() -> None:
    assert SSO in entity()
    assert read(entity()).name_id_formats == ()
