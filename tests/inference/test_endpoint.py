from __future__ import annotations

import pytest

from promptops.errors import PromptopsError
from promptops.inference.endpoint import OPENAI_URL, Endpoint, resolve

MODEL = {"provider": "acme", "endpoint": {"base_url_env": "ACME_URL", "api_key_env": "ACME_KEY"}}
ENVIRON = {"ACME_URL": "https://api.acme.example/v1/", "ACME_KEY": "sk-secret-1\n"}


def test_url_and_key_come_from_the_variables_that_the_model_file_names():
    endpoint = resolve(MODEL, ENVIRON)
    assert (endpoint.base_url, endpoint.api_key, endpoint.name) == (
        "https://api.acme.example/v1",
        "sk-secret-1",
        "acme",
    )


def test_the_key_is_not_in_its_repr():
    assert "sk-secret" not in repr(Endpoint("https://a.example", "sk-secret-1", "a"))


def test_a_model_file_may_name_no_key():
    assert resolve({"provider": "acme", "endpoint": {"base_url_env": "ACME_URL"}}, ENVIRON).api_key is None


def test_openai_needs_its_key_alone():
    endpoint = resolve({"provider": "openai"}, {"OPENAI_API_KEY": "sk-1"})
    assert (endpoint.base_url, endpoint.api_key) == (OPENAI_URL, "sk-1")


@pytest.mark.parametrize("name", ["ACME_URL", "ACME_KEY"])
def test_a_missing_variable_is_named_with_the_next_step(name):
    with pytest.raises(PromptopsError, match=name) as caught:
        resolve(MODEL, {**ENVIRON, name: " "})
    assert name in caught.value.hint


def test_an_unknown_provider_needs_an_address():
    with pytest.raises(PromptopsError, match="acme") as caught:
        resolve({"provider": "acme"}, ENVIRON)
    assert "base_url_env" in caught.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example",
        "api.acme.example/v1",
        "https://",
        "https://user:hunter2@a.example/v1",
        "https://a.example/v1?key=hunter2",
        "https://a.example:port",
        "file:///etc/passwd",
        "http://[::1",
        "http://a.example/v1\nx",
        "http://a b.example/v1",
        f"http://{'a' * 64}.example/v1",
        "http://a..example/v1",
    ],
)
def test_an_address_that_is_no_plain_http_one_is_refused_unseen(url):
    with pytest.raises(PromptopsError, match="ACME_URL") as caught:
        resolve(MODEL, {**ENVIRON, "ACME_URL": url})
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize("key", ["sk-a b", "sk-ä", "sk-1\r\nX-Evil: 1"])
def test_a_key_that_cannot_stand_in_a_header_is_refused_unseen(key):
    with pytest.raises(PromptopsError, match="ACME_KEY") as caught:
        resolve(MODEL, {**ENVIRON, "ACME_KEY": key})
    assert key not in f"{caught.value.message}{caught.value.hint}"
