"""What the admin pages of this room have in common: refusals in words, searching, filtering, and long lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin import FieldListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property

from accounts.actors import Actor
from accounts.models import User
from orgs import history
from orgs.assigning import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.contrib.admin import AdminSite
    from django.contrib.admin.views.main import ChangeList
    from django.db.models import QuerySet
    from django.http import HttpRequest

    from audit.models import Event

    _Paginator = Paginator[Any]
else:  # generic for the type checker only
    _Paginator = Paginator

# Nobody turns so many pages: beyond it a list counts no further, and a filter finds the rest.
MOST_COUNTED = 100_000


def by(request: HttpRequest) -> dict[str, Any]:
    """Who does it and when, as `orgs.assigning` wants it."""
    return {"now": timezone.now(), "actor": Actor.at(request)}


class InWords:
    """For a ModelAdmin: what is refused becomes a sentence on the page, with nothing done."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Django's page for adding and changing."""
        return _in_words(request, super().changeform_view, *args, **kwargs)  # type: ignore[misc]  # mixed into a ModelAdmin

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Django's page for deleting."""
        return _in_words(request, super().delete_view, *args, **kwargs)  # type: ignore[misc]  # as above

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Django's list, with its actions."""
        return _in_words(request, super().changelist_view, *args, **kwargs)  # type: ignore[misc]  # as above


def _in_words(request: HttpRequest, view: Any, *args: Any, **kwargs: Any) -> HttpResponse:
    try:
        answer: HttpResponse = view(request, *args, **kwargs)
    except Refused as refusal:
        messages.error(request, str(refusal))
        return HttpResponseRedirect(request.get_full_path())
    return answer


class WithHistory:
    """For a ModelAdmin: the page behind its “History” tells what the audit log knows."""

    admin_site: AdminSite
    opts: Any
    # What a reader needs besides, where it tells who has what.
    history_needs: tuple[str, ...] = ()

    def history_of(self, obj: Any) -> QuerySet[Event]:
        """The events that are told."""
        return history.of_thing(self.opts.verbose_name.replace(" ", "_"), obj.pk)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:  # noqa: ARG002 - Django's signature
        """Django's hook for its page of the same name."""
        obj = self.get_object(request, object_id)  # type: ignore[attr-defined]  # mixed into a ModelAdmin
        if obj is None:
            gone: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]  # as above
            return gone
        return self.told(request, obj, self.history_of(obj))

    def told(self, request: HttpRequest, obj: Any, events: QuerySet[Event]) -> HttpResponse:
        """A page of these events, or the next one. Raises PermissionDenied for who may not see the thing."""
        sees = self.has_view_permission(request, obj)  # type: ignore[attr-defined]  # as above
        if not (sees and request.user.has_perms(self.history_needs)):
            raise PermissionDenied
        return history_page(request, self.admin_site, self.opts, obj, events)


def history_page(request: HttpRequest, site: AdminSite, opts: Any, obj: Any, events: QuerySet[Event]) -> HttpResponse:
    """A page of these events: the newest ones, or those before the one that the address names."""
    lines, older = history.page(events, request.GET.get("before", ""))
    facts = {
        **site.each_context(request), "title": f"History of {obj}", "opts": opts, "original": obj,
        "where": reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[obj.pk]),
        "lines": lines, "older": older,
    }  # fmt: skip
    return render(request, "admin/orgs/history.html", facts)


class Typed(AutocompleteSelect):
    """A field that is filled by typing. What cannot be a key is not looked up: Django's own fails on it."""

    def optgroups(self, name: str, value: Any, attrs: Any = None) -> Any:
        """Django's hook, which asks the database for what is selected."""
        return super().optgroups(name, [one for one in value if self._is_key(one)], attrs)

    def _is_key(self, value: Any) -> bool:
        try:
            self.field.remote_field.model._meta.pk.to_python(value)  # noqa: SLF001 - Django's public name for it
        except (ValidationError, ValueError):
            return False
        return True


class TypedFields:
    """For a ModelAdmin or its inlines: fields that are filled by typing, whatever was sent in them."""

    admin_site: AdminSite

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Django's hook for the field of a foreign key."""
        if db_field.name in self.get_autocomplete_fields(request):  # type: ignore[attr-defined]  # mixed into a ModelAdmin
            kwargs.setdefault("widget", Typed(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]  # as above


class LongList(_Paginator):
    """Counts as far as anybody reads."""

    @cached_property
    def count(self) -> int:
        """How many there are, or MOST_COUNTED."""
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST_COUNTED].count())


def people_like(word: str) -> QuerySet[User]:
    """Those whose address or name has this in it."""
    return User.objects.filter(
        Q(email__icontains=word)
        | Q(first_name__icontains=word)
        | Q(last_name__icontains=word)
        | Q(display_name__icontains=word)
    )


class ChosenFilter(FieldListFilter):
    """Rows of one organisation (group, role …), which is found by typing: a list of ten thousand is none."""

    template = "admin/orgs/chosen_filter.html"

    def __init__(  # noqa: PLR0913, PLR0917 - Django's signature
        self, field: Any, request: HttpRequest, params: Any, model: Any, model_admin: Any, field_path: str
    ) -> None:
        self.parameter = path = field_path
        super().__init__(field, request, params, model, model_admin, field_path)
        self.title = field.verbose_name
        given = self.used_parameters.get(path) or [""]
        self.value = str(given[-1] if isinstance(given, list) else given)
        if self.value and not (self.value.isascii() and self.value.isdigit() and len(self.value) <= 18):  # noqa: PLR2004 - a bigint's digits
            raise IncorrectLookupParameters
        self.others = [
            (name, value)
            for name, values in request.GET.lists()
            if name not in {path, "p", "e"}
            for value in values
        ]  # fmt: skip
        widget = Typed(field, model_admin.admin_site)
        self.select = forms.ModelChoiceField(field.related_model._base_manager, widget=widget, required=False)  # noqa: SLF001 - Django's public name for it

    def has_output(self) -> bool:
        """Django's hook: there is always something to choose from."""
        return True

    def expected_parameters(self) -> list[str | None]:
        """Django's hook: the one in the address."""
        return [self.parameter]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """What the template needs."""
        name = f"filter_{self.parameter}"
        yield {
            "id": name,
            "select": self.select.widget.render(self.parameter, self.value, {"id": name}),
            "others": self.others,
            "all": changelist.get_query_string(remove=[self.parameter]),
            "selected": bool(self.value),
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's signature
        """Those of the chosen one."""
        return queryset.filter(**{f"{self.parameter}_id": int(self.value)}) if self.value else queryset
