"""Texts in a query string: whatever a client sends, the database can be asked for it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("it holds a NUL character")
    return value


Text = Annotated[str, Field(max_length=200), AfterValidator(_without_nul)]
Search = Annotated[Text, Field(description="Words that address or name hold.", examples=["ana"])]
