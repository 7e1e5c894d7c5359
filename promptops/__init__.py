"""Git-native releases for prompts, models and decoding parameters."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from promptops.runtime import load
    from promptops.runtime.recording import opportunity
    from promptops.runtime.recording import outcome as record

__all__ = ["__version__", "load", "opportunity", "record"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # Every command imports this package; only applications load prompts and record what comes of them.
    if name == "load":
        from promptops.runtime import load

        return load
    if name in {"record", "opportunity"}:
        from promptops.runtime import recording

        return recording.outcome if name == "record" else recording.opportunity
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
