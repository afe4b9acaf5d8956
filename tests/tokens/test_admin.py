"""Tokens in the administration: seen by those who may, revoked, and never shown."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from audit.kinds import Kind
from audit.models import Event
from tests import factories
from tests.pages.forms import PASSWORD, sign_in_by_password, submit, text, token
from tests.tokens.making import token_of
from tokens.models import ApiToken

if TYPE_CHECKING:
    from django.http import HttpResponse

    from accounts.models import User
    from tests.door import Browser
    from tokens.models import ServiceAccount

pytestmark = pytest.mark.django_db
TOKENS = "/admin/tokens/apitoken/"


def clerk(*permissions: str) -> Browser:
    """Somebody of the staff who may do this and nothing else."""
    person = factories.user("clerk@portico.example", password=PASSWORD, is_staff=True)
    person.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return sign_in_by_password(person)


def rows(page: HttpResponse) -> list[str]:
    return re.findall(r'class="field-name"><a [^>]*>([^<]+)</a>', page.content.decode())


def test_tokens_are_found_by_name_first_characters_and_owner(admin: Browser, lou: User, grace: User) -> None:
    mine, _text = token_of(grace, name="Mine")
    hers, _text = token_of(lou, name="Report")
    assert sorted(rows(admin.get(TOKENS))) == ["Mine", "Report"]
    for query in ("report", hers.prefix, "lou@portico"):
        assert rows(admin.get(f"{TOKENS}?q={query}")) == ["Report"]
    assert rows(admin.get(f"{TOKENS}?user__id__exact={grace.pk}")) == ["Mine"]
    assert mine.digest not in admin.get(f"{TOKENS}{mine.pk}/change/").content.decode()


def test_tokens_are_filtered_by_state_and_by_kind_of_owner(admin: Browser, lou: User, robot: ServiceAccount) -> None:
    now = timezone.now()
    token_of(lou, name="long")
    token_of(lou, name="short", days=1)
    token_of(lou, name="past", days=1, now=now - timedelta(days=2))
    token_of(robot.user, name="robot's")
    assert sorted(rows(admin.get(f"{TOKENS}?state=live"))) == ["long", "robot&#x27;s"]
    assert rows(admin.get(f"{TOKENS}?state=expiring")) == ["short"]
    assert rows(admin.get(f"{TOKENS}?state=expired")) == ["past"]
    assert rows(admin.get(f"{TOKENS}?state=revoked")) == []
    assert len(rows(admin.get(f"{TOKENS}?state=nonsense"))) == 4
    assert rows(admin.get(f"{TOKENS}?user__is_service_account__exact=1")) == ["robot&#x27;s"]


def test_the_list_costs_the_same_for_many_owners(admin: Browser, django_assert_max_num_queries: Any) -> None:
    for number in range(15):
        token_of(factories.user(f"p{number}@customer.example"))
    with django_assert_max_num_queries(10):
        assert len(rows(admin.get(TOKENS))) == 15


def test_nobody_adds_edits_or_deletes_a_token_here(admin: Browser, lou: User) -> None:
    own, _text = token_of(lou)
    assert admin.get(f"{TOKENS}add/").status_code == 403
    assert admin.get(f"{TOKENS}{own.pk}/delete/").status_code == 403
    page = admin.get(f"{TOKENS}{own.pk}/change/")
    assert 'name="name"' not in page.content.decode()
    data = {"name": "other", "csrfmiddlewaretoken": token(page)}
    assert admin.post(f"{TOKENS}{own.pk}/change/", data).status_code == 403


def test_one_token_is_revoked_after_a_question(admin: Browser, grace: User, lou: User) -> None:
    own, text_of_it = token_of(lou)
    path = f"{TOKENS}{own.pk}/revoke/"
    assert path in admin.get(f"{TOKENS}{own.pk}/change/").content.decode()
    assert "of Lou@Portico.example" in text(admin.get(path))
    submit(admin, path)
    own.refresh_from_db()
    assert own.revoked_at is None
    submit(admin, path, {"confirm": "yes"})
    own.refresh_from_db()
    assert own.revoked_by == grace.email
    page = admin.get(f"{TOKENS}{own.pk}/change/")
    assert "1 token is revoked" in text(page)
    assert path not in page.content.decode()
    assert text_of_it not in page.content.decode()
    assert Event.objects.get(kind=Kind.TOKEN_REVOKED_BY_ADMIN).subject_id == str(own.pk)
    assert admin.get(f"{TOKENS}00000000-0000-0000-0000-000000000000/revoke/").status_code == 404
    assert admin.get(f"{TOKENS}00000000-0000-0000-0000-000000000000/change/").status_code == 302


def test_several_are_revoked_after_a_list_of_them(admin: Browser, lou: User, grace: User) -> None:
    chosen = [str(token_of(lou)[0].pk), str(token_of(grace)[0].pk)]
    left, _text = token_of(lou, name="left")
    ask = {"action": "revoke_chosen", "_selected_action": chosen}
    page = submit(admin, TOKENS, ask)
    assert "refused from the next call on" in text(page)
    assert ApiToken.objects.live(timezone.now()).count() == 3
    submit(admin, TOKENS, ask | {"confirm": "yes"})
    assert "2 tokens are revoked" in text(admin.get(TOKENS))
    assert list(ApiToken.objects.live(timezone.now())) == [left]


def test_more_than_a_page_can_list_are_not_revoked_at_once(admin: Browser, lou: User) -> None:
    one, _text = token_of(lou)
    facts = {"user": lou, "created_at": one.created_at, "expires_at": one.expires_at}
    ApiToken.objects.bulk_create(ApiToken(digest=str(number), **facts) for number in range(500))
    chosen = {"action": "revoke_chosen", "_selected_action": str(one.pk), "select_across": "1", "confirm": "yes"}
    submit(admin, TOKENS, chosen)
    assert "choose at most 500 tokens" in text(admin.get(TOKENS))
    assert ApiToken.objects.live(timezone.now()).count() == 501


def test_who_may_only_look_cannot_revoke(lou: User) -> None:
    own, _text = token_of(lou)
    browser = clerk("view_apitoken")
    page = browser.get(f"{TOKENS}{own.pk}/change/")
    assert page.status_code == 200
    assert "/revoke/" not in page.content.decode()
    assert "revoke_chosen" not in browser.get(TOKENS).content.decode()
    data = {"confirm": "yes", "csrfmiddlewaretoken": token(page)}
    assert browser.post(f"{TOKENS}{own.pk}/revoke/", data).status_code == 403


def test_who_may_revoke_may_look(lou: User) -> None:
    own, _text = token_of(lou)
    browser = clerk("change_apitoken")
    submit(browser, f"{TOKENS}{own.pk}/revoke/", {"confirm": "yes"})
    assert "revoked" in text(browser.get(f"{TOKENS}{own.pk}/change/"))


def test_the_page_of_a_person_leads_to_their_tokens(admin: Browser, lou: User) -> None:
    token_of(lou)
    page = admin.get(f"/admin/accounts/user/{lou.pk}/change/").content.decode()
    assert f'<a href="{TOKENS}?user__id__exact={lou.pk}">1 that works</a>' in page
