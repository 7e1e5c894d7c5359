"""A Sigstore bundle on a release's manifest, verified offline with a trusted root of one's own."""

from __future__ import annotations

import json

import pytest
import releasing
from releasing import NEW, OLD, checks
from sigstores import Instance

WHO, ISSUER = "ci@example.org", "https://issuer.invalid"


def payload(repo, tag=NEW):
    return releasing.lines(releasing.tagobject.parse_tag(releasing.raw(repo, tag)).message)[0].payload


@pytest.fixture
def instance(tmp_path):
    made = Instance()
    (tmp_path / "trust.json").write_text(made.trusted_root())
    return made


def options(folder, who=WHO, issuer=ISSUER):
    # In another order than the help has.
    return (
        "--sigstore-issuer", issuer, "--sigstore-identity", who,
        "--sigstore-trust", str(folder / "trust.json"), "--sigstore", str(folder / "bundle.json"),
    )  # fmt: skip


def verdict(repo, folder, bundle, code=1, **expected):
    (folder / "bundle.json").write_text(bundle if isinstance(bundle, str) else json.dumps(bundle))
    found = checks(repo, NEW, *options(folder, **expected), code=code)
    assert [name for name, each in found.items() if not each["ok"]] in ([], ["sigstore"])
    return found["sigstore"]["detail"]


def test_bundle_of_the_expected_identity(released, instance, tmp_path):
    bundle = instance.sign(payload(released), WHO, ISSUER)
    assert verdict(released, tmp_path, bundle, code=0) == f"{WHO}, says {ISSUER}"
    assert "SANs do not match" in verdict(released, tmp_path, bundle, who="eve@example.org")
    assert "OIDCIssuer" in verdict(released, tmp_path, bundle, issuer="https://other.invalid")


def test_bundle_of_another_release(released, instance, tmp_path):
    assert "does not verify" in verdict(released, tmp_path, instance.sign(payload(released, OLD), WHO, ISSUER))


def test_bundle_of_another_instance(released, instance, tmp_path):
    assert "does not verify" in verdict(released, tmp_path, Instance().sign(payload(released), WHO, ISSUER))


def changed(bundle, *path, value):
    *before, last = path
    place = bundle
    for step in before:
        place = place[step]
    assert place[last] != value
    place[last] = value


ENTRY = ("verificationMaterial", "tlogEntries", 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("messageSignature", "signature"), "AAAA"),
        ((*ENTRY, "inclusionPromise", "signedEntryTimestamp"), "AAAA"),
        ((*ENTRY, "inclusionProof", "rootHash"), "AAAA"),
        ((*ENTRY, "inclusionProof", "checkpoint", "envelope"), "log\n1\nAAAA\n"),
        ((*ENTRY, "integratedTime"), "1500000000"),
        ((*ENTRY, "canonicalizedBody"), "e30="),
        (("verificationMaterial", "certificate", "rawBytes"), "AAAA"),
        (("verificationMaterial", "tlogEntries"), []),
        (("mediaType",), "application/json"),
        (("messageSignature",), None),
    ],
)
def test_bundle_with_a_part_of_something_else(released, instance, tmp_path, path, value):
    bundle = instance.sign(payload(released), WHO, ISSUER)
    changed(bundle, *path, value=value)
    assert verdict(released, tmp_path, bundle)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "{", '"x"'])
def test_what_is_no_bundle(released, instance, tmp_path, text):
    assert "does not verify" in verdict(released, tmp_path, text)


def test_what_is_no_trusted_root(released, instance, tmp_path):
    (tmp_path / "trust.json").write_text("{}")
    assert "no Sigstore trusted root" in verdict(released, tmp_path, "{}", code=3)
    (tmp_path / "trust.json").unlink()
    assert "cannot be read" in verdict(released, tmp_path, "{}", code=3)


def test_bundle_without_what_decides_is_wrong_usage(released, instance, tmp_path):
    done = released.promptops("verify", NEW, *options(tmp_path)[:6], check=2)
    assert "--sigstore is missing" in done.stderr


def test_without_the_extra(released, instance, tmp_path):
    (tmp_path / "none/sigstore").mkdir(parents=True)
    (tmp_path / "none/sigstore/__init__.py").write_text("raise ImportError('not installed')\n")
    (tmp_path / "bundle.json").write_text("{}")
    done = released.promptops("verify", NEW, *options(tmp_path), check=3, PYTHONPATH=str(tmp_path / "none"))
    assert "promptops-git[sigstore]" in done.stdout
