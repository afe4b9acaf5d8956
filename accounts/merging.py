"""Making one account out of two: what belongs to the one moves to the other, and the one is switched off.

Whoever keeps something of a person's registers how it moves, as for `deactivate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction

from accounts.deactivation import deactivate
from accounts.models import User
from audit.kinds import Kind
from audit.log import record

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from accounts.actors import Actor

    Describe = Callable[[User], list[str]]
    Move = Callable[[User, User], int]

_RIGHTS = ("is_staff", "is_superuser", "is_break_glass")
_moves: dict[str, tuple[Describe, Move]] = {}


class MergeRefused(Exception):
    """These two cannot be merged; `str()` is a sentence for the administrator."""


@dataclass(frozen=True, slots=True)
class Moving:
    """Things of one kind that would move, each in words."""

    what: str
    things: list[str]


def on_merge(what: str, describe: Describe, move: Move) -> None:
    """Register something that moves with a person. Called from `AppConfig.ready`.

    `describe(gone)` lists it in words; `move(gone, keep)` moves it in the caller's transaction and returns how many.
    """
    _moves[what] = describe, move


def check(gone: User, keep: User) -> None:
    """Raises MergeRefused unless the one may be merged into the other."""
    if gone.pk == keep.pk:
        raise MergeRefused("An account cannot be merged with itself.")
    if gone.is_service_account or keep.is_service_account:
        raise MergeRefused("A service account is nobody's, and is merged with none. Switch it off if it is not used.")
    if not gone.is_active:
        raise MergeRefused(f"{gone} is switched off{f': {gone.inactive_because}' if gone.inactive_because else ''}.")
    if not keep.is_active:
        raise MergeRefused(f"{keep} is switched off. Merge into an account that its person can use.")
    if any(getattr(gone, right) and not getattr(keep, right) for right in _RIGHTS):
        raise MergeRefused(f"{gone} has rights in this administration that {keep} has not. Settle those first.")


def preview(gone: User, keep: User) -> list[Moving]:
    """What would move, by kind; kinds of which there is nothing are left out. Raises MergeRefused."""
    check(gone, keep)
    found = [Moving(what, describe(gone)) for what, (describe, _) in _moves.items()]
    return [moving for moving in found if moving.things]


def merge(gone: User, keep: User, *, now: datetime, actor: Actor) -> dict[str, int]:
    """Move everything that registered from `gone` to `keep`, and switch `gone` off; returns how many of what.

    One transaction. Of two at once, the second is refused: raises MergeRefused.
    """
    with transaction.atomic():
        # Locked in one order: two that merge the same pair the other way round must not wait for one another.
        both = User.objects.select_for_update().filter(pk__in=[gone.pk, keep.pk]).order_by("pk")
        rows = {row.pk: row for row in both}
        if not {gone.pk, keep.pk} <= rows.keys():
            raise MergeRefused("One of the two accounts does not exist any more.")
        gone, keep = rows[gone.pk], rows[keep.pk]
        check(gone, keep)
        deactivate(gone, now=now, actor=actor, because=f"merged into {keep}")
        moved = {what: move(gone, keep) for what, (_, move) in _moves.items()}
        record(
            Kind.USER_MERGED, now=now, actor=actor.label, actor_id=actor.id, ip=actor.ip, subject_type="user",
            subject_id=gone.pk, subject=gone, data={"into": str(keep), "into_id": str(keep.pk), "moved": moved},
        )  # fmt: skip
    return moved
