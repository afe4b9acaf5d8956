"""Memberships as a CSV file: written for spreadsheets, read back with a preview (docs/decisions/0018).

A line is a person (by address), an organisation (by external ID) and a role. Reading one in gives and changes what is
given by hand, through `orgs.assigning`; it takes nothing away, and leaves what identity providers say alone. The file
itself is kept nowhere: between preview and confirmation the page carries it, signed, so that what was shown is what is
done, on whichever node that is.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from typing import TYPE_CHECKING, Any

import tablib
from django import forms
from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core import signing
from django.core.exceptions import ValidationError
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from import_export import fields, resources
from import_export.admin import ImportExportMixin
from import_export.formats.base_formats import CSV
from import_export.forms import ConfirmImportForm, ImportForm
from import_export.results import RowResult
from import_export.tmp_storages import BaseStorage

from accounts import addresses
from accounts.models import User
from orgs import assigning
from orgs.assigning import Step, Wanted
from orgs.desk import by
from orgs.many import may_assign
from orgs.models import Membership, MembershipRole, Organization, Source

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

MOST_BYTES = 1024 * 1024
MOST_ROWS = 20_000
MOST_EXPORTED = 200_000
MOST_LISTED = 200
NEEDED = ("email", "organization", "role")
# What an export says besides; on the way back it is read past, but for the source.
TOLD = ("name", "organization_name", "source", "why")
ASSERTED = str(Source.IDP.label)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SALT = "orgs.spreadsheet"
_KEPT_SECONDS = 3600
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class UnreadableFile(Exception):
    """The file is not what it should be; `str()` is a sentence for whoever brought it."""


def disarmed(text: str) -> str:
    """A cell that no spreadsheet takes for a formula. One that looks disarmed already gets its mark all the same."""
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def armed(text: str) -> str:
    """The cell as it was before `disarmed`."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_FORMULA) else text


# --- The file ---


class MembershipCsv(CSV):  # type: ignore[misc]  # a base class without types
    """CSV in UTF-8, its cells between commas, semicolons or tabs, as spreadsheets write it in various countries."""

    def create_dataset(self, in_stream: bytes | str, **kwargs: Any) -> tablib.Dataset:  # noqa: ARG002 - the library's signature
        """The rows, of the columns that are known. Raises UnreadableFile."""
        text = in_stream if isinstance(in_stream, str) else decoded(in_stream)
        header, *rows = _table(text)
        _check_header(header)
        dataset = tablib.Dataset(headers=header)
        for number, row in rows:
            if len(row) > len(header) and not any(row[len(header) :]):
                row = row[: len(header)]  # noqa: PLW2901 - empty cells at the end of a line are a spreadsheet's habit
            if len(row) != len(header):
                raise UnreadableFile(f"Line {number} has {len(row)} cells, and the first line names {len(header)}.")
            dataset.append([armed(cell.strip()) for cell in row])
        return dataset

    def export_data(self, dataset: tablib.Dataset, **kwargs: Any) -> str:
        """With every cell disarmed, and the mark by which spreadsheets know UTF-8."""
        safe = tablib.Dataset(headers=dataset.headers)
        for row in dataset:
            safe.append([disarmed(str(cell)) for cell in row])
        return "\ufeff" + str(super().export_data(safe, **kwargs))

    def get_content_type(self) -> str:
        """Never shown in the browser, whatever is in it."""
        return "text/csv; charset=utf-8"


def decoded(data: bytes) -> str:
    """The text of an uploaded file. Raises UnreadableFile with what it seems to be instead."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in data[:200]:
        raise UnreadableFile("The file is in UTF-16. Save it as “CSV UTF-8”.")
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise UnreadableFile("This is a workbook, not a CSV file. Save it as “CSV UTF-8”.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(
            f"Line {line} is not in UTF-8, but perhaps in an encoding of Windows. Save the file as “CSV UTF-8”."
        ) from error
    if _CONTROL.search(text):
        raise UnreadableFile("There are control characters in the file: this is no CSV file.")
    return text


def _table(text: str) -> list[Any]:
    """The header, then each row with the number of its line; empty lines left out."""
    first = text.lstrip("\r\n").partition("\n")[0]
    between = max((",", ";", "\t"), key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=between, strict=True)
    found: list[Any] = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                found.append((reader.line_num, row) if found else [cell.strip().lower() for cell in row])
            if len(found) > MOST_ROWS + 1:
                raise UnreadableFile(f"There are more than {MOST_ROWS:,} rows. Divide the file.")
    except csv.Error as error:
        raise UnreadableFile(f"Line {reader.line_num} cannot be read as CSV: {error}.") from error
    if len(found) < 2:  # noqa: PLR2004 - a header and a row
        raise UnreadableFile(f"There are no rows. The first line names the columns {', '.join(NEEDED)}; rows follow.")
    return found


def _check_header(header: list[str]) -> None:
    known = {*NEEDED, *TOLD}
    missing = [name for name in NEEDED if name not in header]
    unknown = [name[:40] or "(empty)" for name in header if name not in known]
    if missing:
        named = ", ".join(name[:40] or "(empty)" for name in header[:10])
        raise UnreadableFile(
            f"The first line has to name the columns {', '.join(NEEDED)}. Missing: {', '.join(missing)}. "
            f"It is: {named}."
        )
    if unknown:
        raise UnreadableFile(
            f"Unknown columns: {', '.join(unknown[:10])}. Besides {', '.join(NEEDED)} there may be {', '.join(TOLD)}."
        )
    if len(set(header)) != len(header):
        raise UnreadableFile("A column is named twice in the first line.")


class InThePage(BaseStorage):  # type: ignore[misc]  # a base class without types
    """Keeps the uploaded file between preview and confirmation: its name is its contents, signed and packed."""

    def save(self, data: bytes) -> None:
        """Pack it. The form has read it already, so it can be read."""
        self.name = signing.dumps(decoded(data), salt=_SALT, compress=True)

    def read(self) -> Any:
        """Unpack it. Raises django.core.signing.BadSignature."""
        return signing.loads(self.name, salt=_SALT, max_age=_KEPT_SECONDS)

    def remove(self) -> None:
        """There is nothing to remove."""


class UploadForm(ImportForm):  # type: ignore[misc]  # a base class without types
    """The file."""

    def clean_import_file(self) -> Any:
        """Not more than can be looked at, and readable. Raises ValidationError that says what is wrong."""
        file = self.cleaned_data["import_file"]
        if file.size > MOST_BYTES:
            raise ValidationError("The file is larger than 1 MiB. Divide it.", code="large")
        try:
            MembershipCsv().create_dataset(file.read())
        except UnreadableFile as refusal:
            raise ValidationError(str(refusal), code="unreadable") from refusal
        file.seek(0)
        return file


class ConfirmForm(ConfirmImportForm):  # type: ignore[misc]  # a base class without types
    """What was shown, and that it is meant."""

    digest = forms.CharField(widget=forms.HiddenInput, required=False)
    even_last_admin = forms.BooleanField(required=False)

    def clean_import_file_name(self) -> str:
        """The file itself (see InThePage)."""
        packed = str(self.cleaned_data["import_file_name"])
        try:
            signing.loads(packed, salt=_SALT, max_age=_KEPT_SECONDS)
        except signing.SignatureExpired as error:
            raise ValidationError("The preview is more than an hour old. Upload the file again.", code="old") from error
        except signing.BadSignature as error:
            raise ValidationError("This is not what was shown. Upload the file again.", code="spoilt") from error
        return packed

    def clean_format(self) -> str:
        """There is one."""
        return "0"

    def clean_resource(self) -> str:
        """There is one."""
        return "0"


# --- The rows ---


class MembershipResource(resources.ModelResource):  # type: ignore[misc]  # a base class without types
    """Memberships as rows. People and organisations are looked up all at once; nobody is invented."""

    email = fields.Field("user__email", "email")
    organization = fields.Field("organization__external_id", "organization")
    role = fields.Field(None, "role")
    name = fields.Field(None, "name", readonly=True)
    organization_name = fields.Field("organization__name", "organization_name", readonly=True)
    source = fields.Field(None, "source", readonly=True)
    why = fields.Field("why", "why", readonly=True)

    class Meta:
        model = Membership
        fields = (*NEEDED, *TOLD)
        import_id_fields = ("email", "organization")
        skip_diff = True
        use_bulk = True  # no savepoint for each row; nothing is written before all of them are read
        report_skipped = True
        store_row_values = True

    def __init__(self, **kwargs: Any) -> None:
        """By whom and when (`now`, `actor`); then what was `shown`, and whether `even_last_admin` may go."""
        super().__init__(**kwargs)
        self.by: dict[str, Any] = {name: kwargs.get(name) for name in ("now", "actor")}
        self.shown, self.even_last_admin = str(kwargs.get("shown", "")), bool(kwargs.get("even_last_admin"))
        self.seen: dict[tuple[str, str], int] = {}
        self.steps: list[Step] = []

    # Writing

    def dehydrate_role(self, row: Membership) -> str:
        """By its name."""
        return str(row.get_role_display())

    def dehydrate_name(self, row: Membership) -> str:
        """The person's, as far as known."""
        name = row.user.get_full_name()
        return "" if name == row.user.email else name

    def dehydrate_source(self, row: Membership) -> str:
        """By hand, or an identity provider."""
        return str(row.get_source_display())

    # Reading

    def before_import(self, dataset: tablib.Dataset, **kwargs: Any) -> None:  # noqa: ARG002 - the library's signature
        """Look everybody and everything up: three queries, however many rows."""
        emails = {addresses.key(email) for email in dataset["email"]}
        self.people = {user.email_key: user for user in User.objects.filter(email_key__in=emails)}
        named = Organization.objects.filter(external_id__in=set(dataset["organization"]))
        self.organizations = {row.external_id: row for row in named}
        people, places = list(self.people.values()), list(self.organizations.values())
        held = Membership.objects.by_hand().filter(user__in=people, organization__in=places)
        self.held = {(row.user_id, row.organization_id): row for row in held}

    def import_row(self, row: dict[str, str], instance_loader: Any, **kwargs: Any) -> RowResult:  # noqa: ARG002 - as above
        """Read one row, and hold it against what is so already; nothing is written yet."""
        came = RowResult()
        came.row_values = row
        try:
            step = self._step(row, kwargs["row_number"])
        except ValidationError as refusal:
            came.import_type, came.validation_error = RowResult.IMPORT_TYPE_INVALID, refusal
            return came
        if row.get("source", "").lower() == ASSERTED:
            came.import_type, came.told = RowResult.IMPORT_TYPE_SKIP, "an identity provider says so: left alone"
            return came
        self.steps.append(step)
        came.import_type, came.told = _TYPES[step.state], _told(step)
        return came

    def _step(self, row: dict[str, str], number: int) -> Step:
        """Raises ValidationError with all that is wrong with the row."""
        key = (addresses.key(row["email"]), row["organization"])
        user, organization = self.people.get(key[0]), self.organizations.get(key[1])
        role = MembershipRole.named(row["role"].lower())
        wrong: dict[str, str] = {}
        if organization is None:
            wrong["organization"] = f"No organisation has the external ID {key[1][:64] or '(empty)'}."
        if role is None:
            roles = ", ".join(one.label for one in MembershipRole)
            wrong["role"] = f"{row['role'][:40] or '(empty)'} is no role; there are: {roles}."
        if (first := self.seen.setdefault(key, number)) != number:
            wrong["email"] = f"The same person and organisation as in row {first}."
        if user is None:
            wrong["email"] = f"No account has the address {row['email'][:254] or '(empty)'}."
        if user is None or organization is None or role is None or wrong:
            raise ValidationError(wrong)
        held = self.held.get((user.pk, organization.pk))
        wanted = Wanted(user, organization, role)
        return Step(wanted) if held is None else Step(wanted, was=held.role, row=held.pk)

    def after_import(self, dataset: Any, result: Any, **kwargs: Any) -> None:  # noqa: ARG002 - as above
        """Do it, if every row is right and all of it is as it was shown. Raises Refused."""
        told = [f"{step.wanted.user.pk}:{step.wanted.thing.pk}:{step.was}:{step.wanted.rank}" for step in self.steps]
        result.digest = hashlib.sha256(",".join(told).encode()).hexdigest()
        result.bare = assigning.without_administrator(self.steps)
        if kwargs.get("dry_run") or result.has_validation_errors():
            return
        if self.shown != result.digest:
            raise assigning.Gone
        wanted = [step.wanted for step in self.steps]
        assigning.assign_all(wanted, even_last_admin=self.even_last_admin, **self.by)


_TYPES = {
    "new": RowResult.IMPORT_TYPE_NEW, "changed": RowResult.IMPORT_TYPE_UPDATE, "unchanged": RowResult.IMPORT_TYPE_SKIP,
}  # fmt: skip


def _told(step: Step) -> str:
    now = MembershipRole(step.wanted.rank).label
    if step.was is None:
        return f"becomes {now}"
    return f"stays {now}" if step.was == step.wanted.rank else f"{MembershipRole(step.was).label} becomes {now}"


# --- The pages ---


class AsCsv(ImportExportMixin):  # type: ignore[misc]  # a base class without types
    """Import and export, for the admin of memberships."""

    resource_classes = (MembershipResource,)
    formats = (MembershipCsv,)
    tmp_storage_class = InThePage
    import_form_class = UploadForm
    confirm_form_class = ConfirmForm
    import_template_name = "admin/orgs/membership/import.html"
    import_export_change_list_template = "admin/orgs/membership/change_list.html"
    skip_admin_log = True  # the audit log has it, one event for each grant
    skip_export_form = True

    def has_import_permission(self, request: HttpRequest) -> bool:
        """As for assigning many at once."""
        return may_assign(request)

    def has_export_permission(self, request: HttpRequest) -> bool:
        """Whoever may look at the list."""
        return bool(self.has_view_permission(request))

    def get_import_resource_kwargs(self, request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        """By whom, when, and what was confirmed."""
        given = getattr(kwargs.get("form"), "cleaned_data", {})
        return by(request) | {
            "shown": given.get("digest", ""),
            "even_last_admin": given.get("even_last_admin", False),
        }

    def import_action(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """The upload, and the preview."""
        answer: Any = super().import_action(request, **kwargs)
        context = answer.context_data
        context |= {"title": "Import memberships from CSV", "columns": NEEDED, "told": TOLD, "rows": MOST_ROWS}
        if (result := context.get("result")) is not None:
            context["preview"] = preview(result)
            if "confirm_form" in context:
                context["confirm_form"].initial["digest"] = result.digest
        shown: HttpResponse = answer
        return shown

    def process_import(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """The confirmation: one transaction."""
        form = self.create_confirm_form(request)
        if self.has_import_permission(request) and request.method == "POST" and not form.is_valid():
            messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
            return HttpResponseRedirect(reverse("admin:orgs_membership_import"))
        answer: HttpResponse = super().process_import(request, **kwargs)
        return answer

    def process_result(self, result: Any, request: HttpRequest) -> HttpResponse:
        """What came of it, in words."""
        if result.has_errors() or result.has_validation_errors():
            for error in result.base_errors[:3] or [None]:
                messages.error(request, str(error.error) if error else str(assigning.Gone()))
            return HttpResponseRedirect(reverse("admin:orgs_membership_import"))
        told = preview(result)["counts"]
        messages.success(request, f"Memberships: {', '.join(f'{number:,} {name}' for name, number in told)}.")
        return HttpResponseRedirect(reverse("admin:orgs_membership_changelist"))

    def export_action(self, request: HttpRequest) -> HttpResponse:
        """What the list shows, filters and search included. Not more than a spreadsheet takes."""
        try:
            rows: QuerySet[Membership] = self.get_export_queryset(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(reverse("admin:orgs_membership_changelist"))
        if rows.order_by()[: MOST_EXPORTED + 1].count() > MOST_EXPORTED:
            messages.error(request, f"These are more than {MOST_EXPORTED:,} memberships. Choose fewer, by a filter.")
            return HttpResponseRedirect(reverse("admin:orgs_membership_changelist"))
        answer: HttpResponse = super().export_action(request)
        return answer


def preview(result: Any) -> dict[str, Any]:
    """What the rows come to: how many of each kind, and the first of them, those with mistakes before the others."""
    kinds = (("new", "new"), ("update", "changed"), ("skip", "unchanged"), ("invalid", "wrong"))
    counts = [(word, result.totals[kind]) for kind, word in kinds]
    words, order = dict(kinds), {"invalid": 0, "update": 1, "new": 2, "skip": 3}
    rows = [
        {
            "number": number, "state": words.get(row.import_type, row.import_type), "values": _shown(row),
            "told": _wrong(row) if row.validation_error else getattr(row, "told", ""),
            "order": order.get(row.import_type, 0),
        }
        for number, row in enumerate(result.rows, 1)
    ]  # fmt: skip
    rows.sort(key=lambda row: row["order"])
    return {"counts": counts, "rows": rows[:MOST_LISTED], "more": max(0, len(rows) - MOST_LISTED)}


def _shown(row: Any) -> list[str]:
    return [row.row_values[name][:254] for name in NEEDED]


def _wrong(row: Any) -> str:
    return " ".join(row.validation_error.messages)
