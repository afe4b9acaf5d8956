"""Memberships as CSV: out, and in again with a preview."""

from __future__ import annotations

import csv
import io
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from audit.kinds import Kind
from audit.models import Event
from orgs import spreadsheet
from orgs.models import Membership, MembershipRole, Organization, Source
from tests import factories
from tests.pages.forms import submit, text

if TYPE_CHECKING:
    from django.http import HttpResponse

    from tests.door import Browser

IMPORT = "/admin/orgs/membership/import/"
CONFIRM = "/admin/orgs/membership/process_import/"
EXPORT = "/admin/orgs/membership/export/"
ADMIN, MEMBER = MembershipRole.ADMIN, MembershipRole.MEMBER
_HIDDEN = re.compile(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"')


def upload(browser: Browser, data: bytes | str, name: str = "members.csv") -> HttpResponse:
    """Bring a file."""
    raw = data.encode() if isinstance(data, str) else data
    return submit(browser, IMPORT, {"format": "0", "resource": "", "import_file": SimpleUploadedFile(name, raw)})


def confirm(browser: Browser, preview: HttpResponse, **more: Any) -> str:
    """Press the button of the preview; returns the words of the page that follows."""
    hidden = {name: unescape(value) for name, value in _HIDDEN.findall(preview.content.decode())}
    assert "digest" in hidden, text(preview)
    answer = browser.post(CONFIRM, hidden | more, HTTP_ORIGIN="http://testserver")
    assert answer.status_code == 302, text(answer)
    return text(browser.get(answer.headers["Location"]))


@pytest.fixture
def acme(db: None) -> Organization:
    return factories.organization()


def test_the_preview_says_what_each_row_comes_to_and_nothing_is_written_before(
    clerk: Browser, acme: Organization
) -> None:
    new, changes, stays, said = (factories.user(f"{name}@acme.example") for name in ("new", "changes", "stays", "said"))
    factories.membership(changes, acme)
    factories.membership(stays, acme)
    theirs = factories.asserted(said, acme)
    preview = upload(
        clerk,
        "email,organization,role\nNEW@acme.example,acme,member\nchanges@acme.example,acme,ADMIN\n"
        "stays@acme.example,acme,member\nsaid@acme.example,acme,admin\n",
    )
    words = text(preview)
    assert "2 new 1 changed 1 unchanged 0 wrong" in words
    assert "2 changed : member becomes admin changes@acme.example acme ADMIN" in words
    assert "1 new : becomes member NEW@acme.example acme member" in words
    assert "3 unchanged : stays member" in words
    assert Membership.objects.by_hand().count() == 2
    assert "Memberships: 2 new, 1 changed, 1 unchanged, 0 wrong." in confirm(clerk, preview)
    rows = {row.user.email: row.role for row in Membership.objects.by_hand()}
    assert rows == {new.email: MEMBER, changes.email: ADMIN, stays.email: MEMBER, said.email: ADMIN}
    theirs.refresh_from_db()
    assert (theirs.role, theirs.source) == (MEMBER, Source.IDP)
    assert Event.objects.filter(kind=Kind.GRANT_ASSIGNED).count() == 2
    assert Event.objects.get(kind=Kind.GRANT_CHANGED).actor == "desk@portico.example"


def test_rows_with_mistakes_are_named_and_then_nothing_is_done(clerk: Browser, acme: Organization) -> None:
    factories.user("ana@acme.example")
    preview = upload(
        clerk,
        "email,organization,role\nana@acme.example,acme,member\nghost@acme.example,acme,member\n"
        "ana@acme.example,nowhere,member\nana@acme.example,acme,owner\nANA@acme.example,acme,admin\n,,\n,acme,member\n",
    )
    words = text(preview)
    assert "1 new 0 changed 0 unchanged 5 wrong" in words
    assert "No account has the address ghost@acme.example." in words
    assert "No organisation has the external ID nowhere." in words
    assert "owner is no role; there are: member, admin." in words
    assert "The same person and organisation as in row 1." in words
    assert "No account has the address (empty)." in words
    assert "Nothing was done, for there are mistakes." in words
    assert 'name="digest"' not in preview.content.decode()
    assert not Membership.objects.exists()
    assert User.objects.filter(email__contains="ghost").count() == 0


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The submitted file is empty."),
        (b"\n\n", "There are no rows."),
        (b"email,organization,role\n", "There are no rows."),
        (b"email,role\na@b.example,member\n", "Missing: organization. It is: email, role."),
        (b"address,org,what\na@b.example,acme,member\n", "Missing: email, organization, role."),
        (b"email,organization,role,salary\na@b.example,acme,member,1\n", "Unknown columns: salary."),
        (b"email,organization,role,role\na@b.example,acme,member,x\n", "A column is named twice"),
        (b"email,organization,role\na@b.example,acme\n", "Line 2 has 2 cells, and the first line names 3."),
        (b"email,organization,role\na@b.example,acme,member,x\n", "Line 2 has 4 cells"),
        ("email,organization,role\n\nm\xfcller@b.example,acme,member\n".encode("cp1252"), "Line 3 is not in UTF-8"),
        ("email,organization,role\na@b.example,acme,member\n".encode("utf-16"), "The file is in UTF-16."),
        ("email,organization,role\na@b.example,acme,member\n".encode("utf-16-le"), "The file is in UTF-16."),
        (b"PK\x03\x04" + bytes(200), "UTF-16"),
        (b"PK\x03\x04" + b"x" * 300, "This is a workbook, not a CSV file."),
        (b"email,organization,role\na@b.example,acme,mem\x07ber\n", "control characters"),
        (b'email,organization,role\n"a@b.example,acme,member\n', "cannot be read as CSV"),
        (b'email,organization,role\n"a"x,acme,member\n', "Line 2 cannot be read as CSV"),
        (b"email,organization,role\n" + b"x" * 140_000 + b",acme,member\n", "cannot be read as CSV"),
        (b"email,organization,role\n" + b"a@b.example,acme,member\n" * 20_001, "There are more than 20,000 rows."),
        (b"x" * (1024 * 1024 + 1), "The file is larger than 1 MiB."),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "UTF-16"),
    ],
)
def test_a_file_that_cannot_be_read_gets_a_sentence(clerk: Browser, data: bytes, sentence: str) -> None:
    page = upload(clerk, data)
    assert page.status_code == 200
    assert sentence in text(page)
    assert 'name="digest"' not in page.content.decode()


@pytest.mark.parametrize(
    "data",
    [
        "\ufeffemail,organization,role\r\nana@acme.example,acme,member\r\n".encode(),
        b"Email ; Organization ; Role\nana@acme.example ; acme ; Member\n;;\n\n",
        b"role\torganization\temail\nmember\tacme\tana@acme.example\n",
        b"email,organization,role\nana@acme.example,acme,member,,\n",
        b'email,organization,role\n"ana@acme.example","acme","member"',
    ],
)
def test_what_spreadsheets_write_is_read(clerk: Browser, acme: Organization, data: bytes) -> None:
    factories.user("ana@acme.example")
    assert "1 new" in confirm(clerk, upload(clerk, data))
    assert Membership.objects.get().organization == acme


def test_no_file_at_all_is_a_sentence(clerk: Browser) -> None:
    assert "This field is required." in text(submit(clerk, IMPORT, {"format": "0"}))
    assert submit(clerk, IMPORT, {"format": "7", "resource": "9"}).status_code == 200


def test_it_is_not_done_where_it_is_not_as_it_was_shown(clerk: Browser, acme: Organization) -> None:
    person = factories.user("ana@acme.example")
    preview = upload(clerk, "email,organization,role\nana@acme.example,acme,member\n")
    row = factories.membership(person, acme, ADMIN)
    assert "a moment ago. Nothing was done; look again." in confirm(clerk, preview)
    row.refresh_from_db()
    assert row.role == ADMIN
    Membership.objects.all().delete()
    acme.delete()
    assert "a moment ago. Nothing was done; look again." in confirm(clerk, preview)


def test_what_was_shown_cannot_be_swapped(clerk: Browser, acme: Organization) -> None:
    factories.user("ana@acme.example")
    preview = upload(clerk, "email,organization,role\nana@acme.example,acme,member\n")
    for spoilt in ("passwd", "", "a:b:c", "../../etc/passwd"):
        told = confirm(clerk, preview, import_file_name=spoilt)
        assert "Upload the file again" in told or "This field is required" in told
    assert "look again" in confirm(clerk, preview, digest="0" * 64)
    assert not Membership.objects.exists()
    assert "1 new" in confirm(clerk, preview, format="99", resource="99")
    assert clerk.get(CONFIRM).status_code == 405


def test_the_last_administrator_is_asked_about(clerk: Browser, acme: Organization) -> None:
    row = factories.membership(factories.user("ana@acme.example"), acme, ADMIN)
    preview = upload(clerk, "email,organization,role\nana@acme.example,acme,member\n")
    assert "Acme would have no administrator any more." in text(preview)
    assert "would have no administrator" in confirm(clerk, preview)
    row.refresh_from_db()
    assert row.role == ADMIN
    confirm(clerk, preview, even_last_admin="on")
    row.refresh_from_db()
    assert row.role == MEMBER


def test_staff_do_not_import_access_for_themselves(clerk: Browser, acme: Organization) -> None:
    preview = upload(clerk, "email,organization,role\ndesk@portico.example,acme,admin\n")
    assert "Nobody changes what they have themselves" in confirm(clerk, preview)
    assert not Membership.objects.exists()


def test_an_export_says_who_is_where_and_why_and_formulas_are_disarmed(clerk: Browser) -> None:
    evil = factories.organization("=cmd|' /C calc'!A0", external_id="evil")
    person = factories.user("+ana@acme.example", first_name="@SUM(1)", last_name="-x")
    factories.membership(person, evil, ADMIN)
    factories.asserted(factories.user("bob@acme.example", display_name="\tBob"), factories.organization("Other"))
    answer = clerk.get(EXPORT)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    body = answer.content.decode()
    assert body.startswith("\ufeff")
    rows = list(csv.reader(io.StringIO(body[1:])))
    assert rows[0] == ["email", "organization", "role", "name", "organization_name", "source", "why"]
    assert all(not cell.startswith(("=", "+", "-", "@", "\t")) for row in rows for cell in row)
    by_email = {row[0]: row for row in rows[1:]}
    assert by_email["'+ana@acme.example"][1:6] == ["evil", "admin", "'@SUM(1) -x", "'=cmd|' /C calc'!A0", "by hand"]
    assert by_email["bob@acme.example"][5:] == [
        "identity provider", Membership.objects.get(user__email="bob@acme.example").why,
    ]  # fmt: skip


def test_an_export_comes_back_as_nothing_new(clerk: Browser, acme: Organization) -> None:
    factories.membership(factories.user("+ana@acme.example"), acme, ADMIN)
    theirs = factories.asserted(factories.user("bob@acme.example"), acme)
    preview = upload(clerk, clerk.get(EXPORT).content)
    assert "0 new 0 changed 2 unchanged 0 wrong" in text(preview)
    assert "an identity provider says so: left alone" in text(preview)
    confirm(clerk, preview)
    assert Membership.objects.by_hand().count() == 1
    assert Membership.objects.get(source=Source.IDP) == theirs
    assert not Event.objects.filter(kind__startswith="admin:grant").exists()


def test_an_export_is_what_the_list_shows(clerk: Browser, acme: Organization) -> None:
    factories.membership(factories.user("ana@acme.example"), acme)
    factories.membership(factories.user("bob@other.example"), factories.organization("Other"))
    for query in (f"?organization={acme.pk}", "?q=ana"):
        body = clerk.get(EXPORT + query).content.decode()
        assert "ana@acme.example" in body
        assert "bob@" not in body
    for odd in ("?organization=x", "?p=7", "?o=99", "?nonsense=1"):
        assert clerk.get(EXPORT + odd).status_code in {200, 302}, odd


def test_ten_thousand_rows_are_few_statements(clerk: Browser, acme: Organization) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_user (id, password, is_superuser, email, email_key, look_key, first_name, last_name, "
            "display_name, is_staff, is_active, inactive_because, epoch, is_break_glass, date_joined, sso_label, "
            "sso_suspended, is_service_account) SELECT gen_random_uuid(), '', false, 'p' || n || '@many.example', "
            "'p' || n || '@many.example', '', '', '', '', false, true, '', 0, false, now(), '', false, false "
            "FROM generate_series(1, 10000) n"
        )
    lines = "".join(f"p{number}@many.example,acme,member\n" for number in range(1, 10_001))
    with CaptureQueriesContext(connection) as queries:
        preview = upload(clerk, f"email,organization,role\n{lines}")
    assert "10000 new" in text(preview)
    assert "And 9800 more." in text(preview)
    assert len(queries) < 40
    with CaptureQueriesContext(connection) as queries:
        assert "10,000 new" in confirm(clerk, preview)
    assert len(queries) < 70
    assert Membership.objects.filter(organization=acme).count() == 10_000


@pytest.mark.parametrize("cell", ["+a@b.example", "'+a@b.example", "''=1", "'t Hooft", "=1", "'", ""])
def test_every_cell_comes_back_as_it_went_out(cell: str) -> None:
    """An address may begin with an apostrophe: it must not come back as somebody else's."""
    written = spreadsheet.disarmed(cell)
    assert not written.startswith(("=", "+"))
    assert spreadsheet.armed(written) == cell


def test_an_address_that_only_looks_like_somebodys_is_nobodys(clerk: Browser, acme: Organization) -> None:
    """The sign for kelvin is a k in lower case, and is no k."""
    factories.user("kate@acme.example")
    words = text(upload(clerk, f"email,organization,role\n\u212aate@acme.example,{acme.external_id},member\n"))
    assert "No account has the address \u212aate@acme.example." in words
    assert "0 new 0 changed 0 unchanged 1 wrong" in words
