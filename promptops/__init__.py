"""Git-native releases for prompts, models and decoding parameters."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from promptops.runtime import load

__all__ = ["__version__", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # Every command imports this package; only applications load prompts.
    if name == "load":
        from promptops.runtime import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
