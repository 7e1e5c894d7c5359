"""What an application imports: its prompts, from a snapshot file.

Needs the standard library and Jinja2 only; no git, no network.
"""

from promptops.runtime.resolved import Resolved
from promptops.runtime.snapshot import Snapshot, load, opened

__all__ = ["Resolved", "Snapshot", "load", "opened"]
