"""The embedded model's server process; it lives no longer than whoever started it.

Run as ``python -m promptops.inference.local_server WEIGHTS PORT SLOTS`` with a pipe on stdin: it prints its address on
one line and ends when the pipe closes, however its parent ended.
"""

from __future__ import annotations

import os
import sys

from promptops.inference.weights import MODEL

# Tokens of prompt and answer per slot: the cache of all slots is allocated at once, 23 KB a token.
CONTEXT = 2048


def run(weights: str, port: int, slots: int) -> None:
    """Serve until stdin closes.

    Args:
        weights: path of the GGUF file.
        port: loopback port; 0 takes a free one.
        slots: requests answered at the same time.
    """
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = weights
    # Replies name the model by this; without it by the path on this machine.
    parameters.model_alias = {MODEL}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    # Several of these processes share one address, and the kernel deals the connections out.
    parameters.reuse_port = True
    parameters.n_parallel = slots
    parameters.n_ctx = CONTEXT * slots
    # More threads spin at a barrier: on two busy cores they were twenty times slower than one.
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.n_gpu_layers = 0
    # The default cache of finished prompts grows to gigabytes.
    parameters.cache_ram_mib = 0
    parameters.ui = False
    # Errors and warnings: at the default level every request leaves ten lines.
    parameters.verbosity = 2
    parameters.offline = True
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)  # noqa: T201  the parent reads the address here
    while os.read(sys.stdin.fileno(), 4096):
        pass
    # The server's own threads have nothing to save and take seconds to join.
    os._exit(0)


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
