"""What users install: the wheel and the source distribution, built and used away from the source tree."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import promptops
from promptops.cli.app import COMMANDS

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"{command} exited {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the source distribution and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


def shipped(folder: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", folder], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return {path for path in listed.split("\0") if path} or {
        str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*") if path.is_file()
    }


def test_the_wheel_holds_code_schemas_templates_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("schemas", "templates"):
        assert {f"promptops/_data/{path}" for path in shipped(folder)} <= names
    assert "promptops/py.typed" in names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"promptops", f"promptops_git-{promptops.__version__}.dist-info"}
    assert not [name for name in names if name.endswith((".pyc", ".gguf"))]


def test_the_source_distribution_can_be_tested(built):
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {
        "Makefile",
        "README.md",
        "LICENSE",
        "pyproject.toml",
        "tests/conftest.py",
        "schemas/prompt.schema.json",
    } <= names


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """The ``promptops`` command of a new environment that holds the wheel, and borrows only the dependencies."""
    home = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    (wheel,) = built.glob("*.whl")
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        home / "bin" / "python",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        wheel,
        cwd=home,
    )
    (site,) = (home / "lib").glob("python*/site-packages")
    # A path line adds the folder without its own path files, so the editable install stays out.
    borrowed = {path for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
    (site / "borrowed.pth").write_text("".join(f"{path}\n" for path in sorted(borrowed)))
    return home / "bin" / "promptops"


def test_the_wheel_works_from_an_empty_folder(installed, tmp_path):
    where = "import promptops; print(promptops.__file__)"
    assert run(installed.parent / "python", "-c", where, cwd=tmp_path).stdout.startswith(str(installed.parents[1]))
    assert run(installed, "--version", cwd=tmp_path).stdout == f"promptops {promptops.__version__}\n"
    for name in run(installed, "schema", cwd=tmp_path).stdout.split():
        assert f"urn:promptops:schema:{name}" in run(installed, "schema", name, cwd=tmp_path).stdout
    for name in COMMANDS:
        assert run(installed, name, "--help", cwd=tmp_path).stdout.startswith(f"Usage: promptops {name}")
    outside = run(installed, "list", cwd=tmp_path, check=False)
    assert outside.returncode == 3
    assert "git init" in outside.stderr


def test_the_wheel_sets_a_repository_up(installed, tmp_path):
    run("git", "init", "-q", cwd=tmp_path)
    key = tmp_path / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key, cwd=tmp_path)
    run(installed, "init", "--solo", "--key", key, cwd=tmp_path)
    assert "assistant" in run(installed, "list", cwd=tmp_path).stdout
    run(installed, "new", "model", "gpt-4o-2024-11-20", cwd=tmp_path)
    run(installed, "new", "prompt", "support/reply", "--model", "gpt-4o-2024-11-20", cwd=tmp_path)
    assert (
        "Say what to do here." in run(installed, "render", "support/reply", "--var", "input=Hello", cwd=tmp_path).stdout
    )
    run(installed, "fmt", "--check", cwd=tmp_path)
    run("git", "add", "-A", cwd=tmp_path)
    assert run(installed, "check", "--all", cwd=tmp_path, check=False).returncode in {0, 1}


def test_the_package_under_test_is_the_one_that_was_asked_for():
    wanted = os.environ.get("PROMPTOPS_TEST_WHEEL")
    package = Path(promptops.__file__).resolve()
    assert package.is_relative_to(Path(wanted).resolve()) if wanted else package.name == "__init__.py"
