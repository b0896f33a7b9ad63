"""Modules beside the tests can be imported."""

from __future__ import annotations
