"""Git-native releases for prompts, models and decoding parameters."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from promptops.runtime import load

__all__ = ["__version__", "load"]
__version__ = "0.1.0"
# What an application writes where it has no request at hand.
_RECORDING = {"record": "outcome", "opportunity": "opportunity"}


def __getattr__(name: str) -> object:
    # Every command imports this package; only applications load prompts.
    if name == "load":
        from promptops.runtime import load

        return load
    if name in _RECORDING:
        from importlib import import_module

        return getattr(import_module("promptops.runtime.recording"), _RECORDING[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
