"""Hostile requests get a well-formed answer or a closed connection; `python -m tests.fuzz.hostile` sends 10,000."""

import pytest

pytest.importorskip("uvicorn", reason="needs the serve extra: pip install '.[serve]'")

from tests.fuzz.hostile import fuzz


def test_hostile_requests():
    outcomes, findings = fuzz(400)
    assert findings == []
    assert outcomes["200"] > 40 and outcomes["422"] > 40 and outcomes["400"] > 40
