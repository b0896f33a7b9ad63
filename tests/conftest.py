"""Fixtures that every room's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real scanner files; a test that asks for it skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder of real scanner files (../shared/data) is not on this machine")
    return SHARED
