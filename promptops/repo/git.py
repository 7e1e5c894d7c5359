"""Running git: argument lists, a scrubbed environment, no shell."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
from typing import IO, NamedTuple, Self, cast

from promptops.errors import PromptopsError, UsageError

ZERO = "0" * 40
MINIMUM_VERSION = (2, 38)

_FULL_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

# What a verifier must not inherit: anything that redirects objects, configuration or programs.
_KEPT_WHEN_STRICT = frozenset(
    {"GIT_DIR", "GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"}
)
# Our path arguments carry their own magic; with these set, git would look for other paths and find nothing.
_PATHSPECS = ("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS")


class GitError(PromptopsError):
    """A git command failed for a reason outside the judged content."""


class Object(NamedTuple):
    """A git object: full object id, type (``blob``, ``tree``, ``commit``, ``tag``) and raw content."""

    oid: str
    kind: str
    data: bytes


def environment(*, strict: bool = False, inherit: bool = True) -> dict[str, str]:
    """Return the environment for a git child process.

    Args:
        strict: drop system and user configuration and every ``GIT_*`` redirection, as a verifier must.
        inherit: whether a strict process still follows the caller to the repository and its quarantine.
    """
    env = {key: value for key, value in os.environ.items() if key not in _PATHSPECS}
    if strict:
        kept = _KEPT_WHEN_STRICT if inherit else frozenset[str]()
        env = {key: value for key, value in env.items() if not key.startswith("GIT_") or key in kept}
        env["GIT_CONFIG_NOSYSTEM"] = "1"
        env["GIT_CONFIG_GLOBAL"] = os.devnull
        # Refs and objects of the clone as it is: a verifier makes no connection.
        env["GIT_NO_LAZY_FETCH"] = "1"
        env["GIT_ALLOW_PROTOCOL"] = "none"
    env.update(
        LC_ALL="C",
        GIT_OPTIONAL_LOCKS="0",
        GIT_NO_REPLACE_OBJECTS="1",
        GIT_TERMINAL_PROMPT="0",
        GIT_GRAFT_FILE=os.devnull,
    )
    return env


class Git:
    """One repository, seen through the git command.

    Args:
        directory: any directory inside the repository (or the repository, when bare).
        strict: run as a verifier: ignore user and system configuration, hooks, replacements and grafts.
        inherit: see `environment`.
    """

    def __init__(self, directory: str = ".", *, strict: bool = False, inherit: bool = True) -> None:
        self.directory = directory
        self.strict = strict
        self.inherit = inherit
        self._env = environment(strict=strict, inherit=inherit)
        # GIT_GRAFT_FILE makes git warn about a file that nobody has.
        self._prefix = ["git", "-C", directory, "--no-pager", "-c", "advice.graftFileDeprecated=false"]
        # `git log` would print the verdict on each signature between what it is asked for.
        self._prefix += ["-c", "log.showSignature=false"]
        if strict:
            self._prefix += ["-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false"]
        self._batch: subprocess.Popen[bytes] | None = None
        self._facts: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def again(self) -> Git:
        """Return the same repository once more, for another process."""
        return Git(self.directory, strict=self.strict, inherit=self.inherit)

    def close(self) -> None:
        """End the object reader, if one was started."""
        if self._batch is not None:
            with contextlib.suppress(BrokenPipeError):
                cast("IO[bytes]", self._batch.stdin).close()
            cast("IO[bytes]", self._batch.stdout).close()
            self._batch.wait()
            self._batch = None

    def __del__(self) -> None:
        self.close()

    def try_run(
        self, *args: str, stdin: bytes | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run ``git ARGS`` and return the finished process, whatever its exit code.

        Raises:
            GitError: git itself is missing or the directory is gone.
        """
        try:
            return subprocess.run(
                [*self._prefix, *args],
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                env=self._env | env if env else self._env,
                check=False,
            )
        except FileNotFoundError as error:
            raise _missing() from error
        except ValueError as error:
            raise UsageError("an argument cannot hold a NUL byte") from error

    def run(self, *args: str, stdin: bytes | None = None, env: dict[str, str] | None = None) -> bytes:
        """Run ``git ARGS`` and return its standard output.

        Raises:
            GitError: with git's own words when it exits non-zero.
        """
        done = self.try_run(*args, stdin=stdin, env=env)
        if done.returncode:
            raise failure(args, done)
        return done.stdout

    def text(self, *args: str) -> str:
        """Run ``git ARGS`` and return its output as text without the final newline."""
        return self.run(*args).decode("utf-8", "surrogateescape").rstrip("\n")

    def object(self, spec: str) -> Object | None:
        """Return the object that ``spec`` names (an id, ``:path``, ``REV:path``, a ref), or None if there is none.

        All calls share one ``git cat-file`` process.
        """
        if "\0" in spec:
            raise UsageError("a revision cannot hold a NUL byte")
        if "\n" in spec:
            # The reader's answer repeats what it does not find, so that its second line could pass for an object.
            done = self.try_run("rev-parse", "--verify", "--quiet", "--end-of-options", spec)
            return self.object(done.stdout.decode().strip()) if done.returncode == 0 else None
        batch = self._reader()
        stdin, stdout = cast("IO[bytes]", batch.stdin), cast("IO[bytes]", batch.stdout)
        try:
            stdin.write(os.fsencode(spec) + b"\0")
            stdin.flush()
        except BrokenPipeError as error:
            raise self._ended(spec) from error
        header = stdout.readline().rstrip(b"\n")
        fields = header.rsplit(b" ", 2)
        if len(fields) == 3 and fields[2].isdigit():
            data = stdout.read(int(fields[2]))
            stdout.read(1)
            return Object(fields[0].decode(), fields[1].decode(), data)
        if not header:
            raise self._ended(spec)
        return None

    def objects(self, oids: list[str]) -> dict[str, bytes]:
        """Return the content of many objects by full id, in one process.

        Raises:
            GitError: one of them is missing.
        """
        if not oids:
            return {}
        stream = self.run("cat-file", "--batch", "--buffer", stdin="\n".join(oids).encode() + b"\n")
        found: dict[str, bytes] = {}
        start = 0
        for oid in oids:
            end = stream.index(b"\n", start)
            size = stream[start:end].rsplit(b" ", 1)[1]
            if not size.isdigit():
                raise GitError(f"object {oid} is missing", hint="git fsck; or fetch the missing objects")
            start = end + 2 + int(size)
            found[oid] = stream[end + 1 : start - 1]
        return found

    def _reader(self) -> subprocess.Popen[bytes]:
        if self._batch is None:
            try:
                self._batch = subprocess.Popen(
                    [*self._prefix, "cat-file", "--batch", "-z"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=self._env,
                )
            except FileNotFoundError as error:
                raise _missing() from error
        return self._batch

    def _ended(self, spec: str) -> GitError:
        """Return why the object reader gave up, in git's own words, and let the next read start a new one."""
        self.close()
        done = self.try_run("rev-parse", "--git-dir")
        if done.returncode:
            return not_a_repository(self.directory, done.stderr)
        done = self.try_run("cat-file", "-e", spec)
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        if b"promisor" in done.stderr or self.try_run("config", "--get-regexp", r"^remote\..*\.promisor$").stdout:
            hint = "this clone is partial; use a full one: git fetch --refetch --no-filter"
            return GitError(f"an object of {spec} was never fetched", hint=hint)
        return GitError(f"cannot read {spec}: {said[-1] if said else 'git cat-file ended early'}", hint="git fsck")

    def _fact(self, name: str) -> str:
        if name not in self._facts:
            done = self.try_run("rev-parse", "--path-format=absolute", name)
            if done.returncode:
                raise not_a_repository(self.directory, done.stderr)
            self._facts[name] = done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")
        return self._facts[name]

    @property
    def root(self) -> str:
        """Absolute path of the work tree."""
        return self._fact("--show-toplevel")

    @property
    def common_dir(self) -> str:
        """Absolute path of the git directory that all worktrees share."""
        return self._fact("--git-common-dir")

    @property
    def shallow(self) -> bool:
        """Whether history was cut off by a shallow clone."""
        return self._fact("--is-shallow-repository") == "true"

    def commit(self, revision: str) -> str:
        """Return the full commit id of ``revision``.

        Raises:
            GitError: there is no such commit, with what to fetch in a shallow clone.
        """
        if _FULL_ID.fullmatch(revision):
            found = self.object(revision)
            if found is not None and found.kind == "commit":
                return revision
        done = self.try_run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if done.returncode:
            hint = "check the name with: git log --oneline --all"
            if self.shallow:
                hint = "this clone is shallow: git fetch --unshallow --tags"
            elif not self.try_run("rev-parse", "--verify", "--quiet", "HEAD").stdout:
                hint = "the repository has no commit yet: git commit first"
            raise GitError(f"no commit is named {revision or repr(revision)}", hint=hint)
        return done.stdout.decode().strip()


def _missing() -> GitError:
    return GitError("git is not on PATH", hint="install git 2.38 or newer")


def failure(args: tuple[str, ...], done: subprocess.CompletedProcess[bytes]) -> GitError:
    """Return the error for a failed git command, with git's last line as the cause."""
    if any(words in done.stderr for words in (b"not a git repository", b"must be run in a work tree")):
        return not_a_repository(".", done.stderr)
    dangling = re.search(rb"missing object [0-9a-f]+ for (refs/.+)", done.stderr)
    if dangling:
        ref = os.fsdecode(dangling[1])
        hint = f"fetch it: git fetch --tags --force; or delete the ref: git update-ref -d {shlex.quote(ref)}"
        return GitError(f"{ref} points to an object that is not in this clone", hint=hint)
    lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    cause = lines[-1] if lines else f"exit code {done.returncode}"
    return GitError(f"git {args[0]} failed: {cause}")


def not_a_repository(directory: str, stderr: bytes) -> GitError:
    """Return the error for a directory that git does not accept as a repository."""
    if b"dubious ownership" in stderr:
        return GitError(
            "git refuses this repository: it belongs to another user",
            hint=f"git config --global --add safe.directory {os.path.abspath(directory)}",
        )
    if b"must be run in a work tree" in stderr:
        return GitError("this repository is bare: it has no work tree", hint="run this in a clone of it")
    said = stderr.decode("utf-8", "replace").strip()
    if said and "not a git repository" not in said:
        return GitError(f"git cannot read this repository: {said.splitlines()[-1]}", hint="git status")
    return GitError("not inside a git repository", hint="git init, or change into a repository")
