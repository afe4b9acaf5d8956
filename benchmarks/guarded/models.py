"""The replay row."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Spent(models.Model):
    """An assertion that was used."""

    assertion_id = models.CharField(max_length=256, unique=True)

    objects: ClassVar[models.Manager[Spent]] = models.Manager()

    class Meta:
        app_label = "guarded"

    def __str__(self) -> str:
        return self.assertion_id
