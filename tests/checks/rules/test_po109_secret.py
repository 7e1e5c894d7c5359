from __future__ import annotations

import pytest
from support import MODEL, PROMPT

REPLY = "prompts/reply.yaml"
RANDOM = "q7Zt9LmX2vB4nK8sJ1wR6yPc3dFgHa5E"
SECRETS = [
    "sk-" + "proj-" + RANDOM,
    "sk-" + "ant-api03-" + RANDOM,
    "gh" + "p_" + RANDOM + "abcd",
    "gl" + "pat-" + RANDOM[:20],
    "AK" + "IA" + "IOSFODNN7EXAMPLE",
    "AI" + "za" + RANDOM + "abc",
    "xo" + "xb-1234567890-abcdef",
    "h" + "f_" + RANDOM,
    "-----BEGIN " + "OPENSSH PRIVATE KEY-----",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_finds_and_masks(judge, secret):
    found = judge(**{REPLY: PROMPT.replace("Answer the ticket.", f"Use {secret} now")})
    (finding,) = [each for each in found if each.rule == "PO109"]
    assert (finding.path, finding.line) == (REPLY, 9)
    assert secret not in finding.message
    assert secret[8:] not in finding.message


@pytest.mark.parametrize(
    "assigned", [f"api_key: {RANDOM}", f'password = "{RANDOM}"', f"Authorization: Bearer {RANDOM}"]
)
def test_finds_assigned_randomness(judge, assigned):
    assert judge.places("PO109", **{"prompts/tone.md": f"x\n{assigned}\n"}) == [("prompts/tone.md", 2)]


@pytest.mark.parametrize("scheme", ["postgres", "https", "redis+tls"])
def test_finds_and_masks_a_password_in_a_url(judge, scheme):
    (finding,) = judge(**{"prompts/tone.md": f"x\nsee {scheme}://reader:s3cr@db.example.org/main\n"})
    assert (finding.rule, finding.path, finding.line) == ("PO109", "prompts/tone.md", 2)
    assert "s3cr" not in finding.message


def test_finds_the_shortest_password_in_a_url(judge):
    assert judge.places("PO109", **{"prompts/tone.md": "postgres://u:pw@h"}) == [("prompts/tone.md", 1)]
    assert judge.places("PO109", **{"prompts/tone.md": "redis://:pw@h"}) == [("prompts/tone.md", 1)]


def test_finds_in_models_and_settings(judge):
    files = {"models/gpt.yaml": MODEL + f"metadata: {{key: {SECRETS[0]}}}\n", "promptops.yaml": f"# {SECRETS[2]}\n"}
    assert judge.places("PO109", **files) == [("models/gpt.yaml", 6), ("promptops.yaml", 1)]


def test_finds_in_a_file_that_is_no_yaml(judge):
    assert judge.places("PO109", **{REPLY: f"[{SECRETS[0]}"}) == [(REPLY, 1)]


@pytest.mark.parametrize(
    "text",
    [
        "{api_key_env: OPENAI_API_KEY}",
        "password: correct-horse-battery-staple",
        f"digest: sha256:{'0123456789abcdef' * 4}",
        "api_key: your-api-key-goes-here-please",
        "task-force sk-learn ghp_short",
        "postgres://reader:$PASSWORD@db and postgres://reader:<password>@db and postgres://reader:***@db",
        "postgres://reader:{password}@db and postgres://reader:%(password)s@db and postgres://reader:@db",
        "https://example.org:8080/a@b and ssh://git@example.org/x and https://example.org/a:b@c",
        "urn:x://y: z@example.org, https://example.org mail me: a@example.org",
    ],
)
def test_is_silent(judge, text):
    assert judge(**{"prompts/tone.md": text}) == []
