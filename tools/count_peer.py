#!/usr/bin/env python3
"""N inferences by an engine of bench/peers, one thread: what tools/count_peers.py counts, with the Python of a root of
another architecture.

    count_peer.py PEER MODEL N INPUT.npy
"""
import importlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))


def main():
    import numpy as np
    engine, model, n, tensor = sys.argv[1:]
    run = importlib.import_module("peers." + engine).load(model, 1)
    x = np.load(tensor)
    for _ in range(int(n)):
        y = run(x)
    print(int(np.argmax(y)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
