"""The description of the door: complete, the same as the papers say, and kept by every answer to anything."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
import schemathesis
from django.test import Client, override_settings
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from api.description import document
from api.payloads import ConfigOut, LevelName, RoleName, SourceName
from api.problems import MEANINGS, Code
from config.wsgi import application
from orgs.models import AccessLevel, Membership, MembershipRole, Organization, Source
from tests import factories
from tests.api.calling import program_of
from tests.pages.test_headers import INLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from accounts.models import User
    from tests.api.calling import Program

PAPER = (Path(__file__).parent.parent.parent / "docs" / "api.md").read_text()
EXAMPLES = {"superuser": 20, "somebody": 10}  # of each call
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


def test_the_papers_the_page_and_the_code_know_the_same_codes() -> None:
    rows = re.findall(r"^\| (\d{3}) \| ((?:`\w+` ?)+)\|", PAPER, re.MULTILINE)
    on_paper = {(int(status), code) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)}
    assert on_paper == {(meaning.status, meaning.code.value) for meaning in MEANINGS}
    assert {meaning.code for meaning in MEANINGS} == set(Code)


@pytest.mark.django_db
def test_the_page_explains_every_code_where_a_problem_links_to() -> None:
    page = Client().get("/api/docs").content.decode()
    assert re.findall(r'<div id="(\w+)">', page) == [code.value for code in Code]
    assert not INLINE.search(page)


def test_the_papers_list_the_calls_that_there_are() -> None:
    on_paper = set(re.findall(r"^\| `([A-Z]+) (/\S+)` \|", PAPER, re.MULTILINE))
    described = {
        (method.upper(), re.sub(r"\{\w+_id\}", "{id}", path.removeprefix("/api/v1")))
        for path, methods in document()["paths"].items()
        for method in methods
    }
    # `current` stands for an ID there.
    assert {call for call in described if "current" not in call[1]} <= on_paper
    assert on_paper <= described


def test_the_papers_name_every_member_of_a_configuration() -> None:
    about = PAPER.partition("`Config`:")[2]
    assert set(re.findall(r'"(\w+)"', about)) >= set(ConfigOut.model_fields)


def test_the_words_are_those_of_the_rooms_below() -> None:
    assert set(get_args(LevelName)) == {level.label for level in AccessLevel}
    assert set(get_args(RoleName)) == {role.label for role in MembershipRole}
    assert set(get_args(SourceName)) == set(Source.values)


def test_every_call_says_what_it_needs_and_how_it_is_refused() -> None:
    for path, methods in document()["paths"].items():
        for operation in methods.values():
            assert operation["summary"], path
            if path != "/api/v1/login":
                assert operation["security"], path
                assert operation["description"].startswith("Scope: "), path
                assert {401, 429, 500} <= operation["responses"].keys(), path


# --- Anything -------------------------------------------------------------------------------------------------------


@pytest.fixture
def somebody(db: None) -> User:
    """Somebody who administers an organisation and nothing else."""
    user = factories.user("lou@portico.example")
    acme = Organization.objects.create(external_id="acme", name="Acme")
    Membership.objects.create(user=user, organization=acme, role=MembershipRole.ADMIN)
    return user


@pytest.mark.django_db(transaction=True)
# Schemathesis does, which costs hypothesis its place in the sequence and nothing else.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
@override_settings(PORTICO_TOKENS_PER_USER=1000)
@pytest.mark.parametrize("who", EXAMPLES)
def test_anything_is_answered_as_described(who: str, somebody: User) -> None:
    owner = (
        factories.user("grace@portico.example", is_staff=True, is_superuser=True) if who == "superuser" else somebody
    )
    factories.idp("acme")
    ids = {"slug": "acme", "organization_id": "acme", "user_id": str(somebody.pk)}
    program = program_of(owner)
    for found in schemathesis.openapi.from_wsgi("/api/openapi.json", application).get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]  # a fault in the description fails here
        # These end the token that is used.
        caller = (lambda: program_of(owner)) if "current" in operation.path else lambda: program
        try_out(operation, caller, ids, EXAMPLES[who])


def try_out(operation: Any, caller: Callable[[], Program], ids: dict[str, str], examples: int) -> None:
    """Call it with what fits its description and what does not; every answer must be one that it describes."""

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(data=st.data())
    def answers(data: st.DataObject) -> None:
        mode = data.draw(st.sampled_from(list(schemathesis.GenerationMode)))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        headers = {"Authorization": f"Bearer {caller().secret}"}
        if mode is schemathesis.GenerationMode.POSITIVE and data.draw(st.booleans()):
            # What there is, in the version that there is.
            case.path_parameters |= {name: value for name, value in ids.items() if name in case.path_parameters}
            headers["If-Match"] = "*"
        case.validate_response(case.call(headers=headers), checks=CHECKS)

    answers()
