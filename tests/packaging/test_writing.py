"""Every file that stays is written through promptops.atomic, where nobody sees half of it."""

from __future__ import annotations

import ast
from pathlib import Path

import promptops

PACKAGE = Path(promptops.__file__).parent
# What is no file that stays, or is written as a whole in its own way.
ALLOWED = {
    "atomic.py": "the home of it",
    "checks/reporters/github_format.py": "appends to the file that GitHub reads",
    "cli/crash.py": "a new file in the folder for temporary ones",
    "cli/guard.py": "the null device",
    "repo/preview.py": "a repository in a folder for temporary files",
    "repo/source.py": "opens to read, without waiting for a pipe",
    "evaluation/harness/files.py": "a harness's own copies, in a folder for temporary files",
    "inference/lines.py": "appends lines, and cuts a torn one off",
    "inference/weights.py": "unpacks into a folder of its own, and renames",
    "release/seen.py": "the lock beside the file",
    "release/journal.py": "the lock, which holds a number for people",
    "release/snapshot.py": "the lock of a folder, for two watches",
    "runtime/events.py": "appends lines; a torn one damages no other; the key appears whole",
    "runtime/good_copy.py": "appears whole by a rename; an application has no promptops.atomic",
    "runtime/signature.py": "a file for ssh-keygen that is removed at once",
    "telemetry/checking.py": "opens for reading only, without waiting for a pipe",
    "trust/sshsig.py": "files for ssh-keygen that are removed at once",
}
WRITERS = {"replace", "rename", "link", "write_text", "write_bytes", "mkstemp", "NamedTemporaryFile", "fdopen"}


def writes(tree: ast.AST) -> bool:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        owner = getattr(function.value, "id", "") if isinstance(function, ast.Attribute) else ""
        if name in WRITERS and (owner in ("os", "tempfile") or name.startswith("write_")):
            return True
        if name == "open" and (owner == "os" or writing(node)):
            return True
    return False


def writing(call: ast.Call) -> bool:
    """Whether a call of open, of a file or an archive, may write."""
    modes = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    return any(not isinstance(mode, ast.Constant) or set(str(mode.value)) & set("wax+") for mode in modes)


def test_only_these_modules_open_a_file_to_write():
    found = {
        path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if writes(ast.parse(path.read_text()))
    }
    assert found == set(ALLOWED)
