"""Fixtures of the rooms' tests."""

from __future__ import annotations

from tests.saml_sp.crowds import workers

__all__ = ["workers"]
