"""What an application imports: its prompts, from a snapshot file.

Needs the standard library and Jinja2 only; no git, no network.
"""

from promptops.runtime.snapshot import Resolved, Snapshot, load

__all__ = ["Resolved", "Snapshot", "load"]
