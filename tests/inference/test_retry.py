from __future__ import annotations

import time

import pytest

from promptops.inference.retry import retry_after

# 1994-11-06 08:49:28 UTC, nine seconds before the date below.
WALL = 784111768.0


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Tokyo"])
def zone(request, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@pytest.mark.parametrize(
    "value", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_every_form_of_an_http_date_is_utc_wherever_the_machine_is(zone, value):
    assert retry_after({"retry-after": value}, WALL) == 9.0
