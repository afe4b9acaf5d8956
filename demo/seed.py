"""What the demo starts with: an administrator, an identity provider, some people, and what they may do.

Made once, then left as people left it.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db import transaction

from accounts import addresses
from accounts.actors import Actor
from accounts.deactivation import deactivate
from accounts.models import User
from demo import rights
from demo.idp import NAME, SLUG
from saml_sp import configuration, keys, moving
from saml_sp.models import IdentityProvider, SpKeyPair

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from demo.idp import IdentityProvider as DemoProvider

ADMIN = "admin@portico.example"


@dataclass(frozen=True)
class Administrator:
    """Who may sign in to the administration; the password is None once somebody has changed it."""

    email: str
    password: str | None = field(repr=False)


def seed(provider: DemoProvider, folder: Path, now: datetime) -> Administrator:
    """Make what is missing, in one transaction; `folder` keeps the administrator's password (mode 0600)."""
    with transaction.atomic():
        idp = _seed_provider(provider, now)
        _seed_key_pair(now)
        administrator = _seed_administrator(folder)
        rights.seed(idp, by=administrator.email, now=now)
        return administrator


def _seed_provider(provider: DemoProvider, now: datetime) -> IdentityProvider:
    actor = Actor("make run")
    idp = IdentityProvider.objects.filter(slug=SLUG).first()
    made = idp is None
    if idp is None:
        idp = IdentityProvider(
            slug=SLUG, description=f"{NAME} (demo)", contact=f"the help desk of {NAME}", show_on_sign_in=True
        )
    idp.portal_url = f"{provider.own_url}/"
    # Every time, for DEMO_PORT may be another one today, and nothing is written when it is not.
    configuration.import_metadata(idp, provider.metadata_xml(), now=now, actor=actor)
    if made:
        configuration.enable(idp, now=now, actor=actor)
        _seed_people(idp, now, actor)
    return idp


def _seed_people(idp: IdentityProvider, now: datetime, actor: Actor) -> None:
    """One of each kind, for the list in the administration: local, staff, of the identity provider, switched off."""
    make = User.objects.create_user
    make("lena.hall@portico.example", first_name="Lena", last_name="Hall")
    make("stan.ward@portico.example", first_name="Stan", last_name="Ward", is_staff=True)
    expected = make("mila.next@customer.example", first_name="Mila", last_name="Next")
    moving.assign(expected, idp, now=now, actor=actor)
    parted = make("dean.parted@customer.example", first_name="Dean", last_name="Parted")
    deactivate(parted, now=now, actor=actor, because="has left the company")


def _seed_key_pair(now: datetime) -> None:
    # What Portico signs its logout messages with; without a key to keep it under it sends them unsigned.
    if keys.is_configured() and not SpKeyPair.objects.exists():
        keys.generate(now=now, actor=Actor("make run"))


def _seed_administrator(folder: Path) -> Administrator:
    password = _kept_password(folder / "admin_password")
    user = User.objects.filter(email_key=addresses.key(ADMIN)).first()
    if user is None:
        user = User.objects.create_superuser(ADMIN, password, first_name="Adele", last_name="Porter")
    return Administrator(ADMIN, password if user.check_password(password) else None)


def _kept_password(path: Path) -> str:
    """The password kept in a file, made on first use."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if kept := path.read_text().strip():
            return kept
        descriptor = os.open(path, os.O_WRONLY)
    password = secrets.token_urlsafe(12)
    with os.fdopen(descriptor, "w") as file:
        file.write(password + "\n")
    return password
