#!/usr/bin/env python3
"""Writes the C source of kitfox._native from the public headers: make_native.py INCLUDE OUT.c

cffi reads declarations, not C files: comments, preprocessor lines and attributes go, and array lengths become numbers.
Everything that the headers declare is there, under its own name, so that a new function needs no line here.
"""

import re
import sys

HEADERS = (
    "status",
    "types",
    "graph_types",
    "quantize_types",
    "preprocess",
    "image",
    "codec",
    "kitfox",
    "batch",
    "bench",
    "compile",
    "lab",
    "pull",
)

# What the libraries call back. `user` is a handle of Python's; kitfox/_call.py has the functions.
CALLBACKS = """
extern "Python" int kf_py_progress(void *user, size_t done, size_t total);
extern "Python" int kf_py_progress64(void *user, uint64_t done, uint64_t total);
extern "Python" void kf_py_message(void *user, const char *text);
extern "Python" void kf_py_prediction(void *user, const kf_prediction *prediction);
extern "Python" void kf_py_node(void *user, const char *name, const char *op, int32_t known);
extern "Python" void kf_py_step(void *user, int32_t step, const float *values, size_t n);
void free(void *);
"""


def declarations(text):
    """What a header declares, and its numeric constants."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = text.replace("\\\n", " ")
    constants = dict(re.findall(r"^#define (KF_\w+) (\d+)$", text, flags=re.M))
    kept, depth = [], 0
    for line in text.splitlines():
        # Conditional parts are for C++, for compilers and for what is installed: no declaration of the interface.
        if re.match(r"#\s*if", line) and "_H" not in line:
            depth += 1
        elif re.match(r"#\s*endif", line) and depth:
            depth -= 1
        elif not line.startswith("#") and not depth:
            kept.append(line)
    text = "\n".join(kept)
    text = re.sub(r"KF_PRINTF\([^)]*\)", "", text)
    return re.sub(r"\bKF_API\b", "", text), constants


def main(include, out):
    import cffi

    texts, constants = [], {}
    for name in HEADERS:
        with open(f"{include}/kitfox/{name}.h", encoding="utf-8") as f:
            text, more = declarations(f.read())
        texts.append(text)
        constants.update(more)
    body = "\n".join(texts)
    for name, value in constants.items():
        body = re.sub(rf"\b{name}\b", value, body)
    body = "".join(f"#define {name} {value}\n" for name, value in constants.items()) + body + CALLBACKS
    ffi = cffi.FFI()
    ffi.cdef(body)
    includes = "".join(f'#include "kitfox/{name}.h"\n' for name in HEADERS)
    ffi.set_source("kitfox._native", "#include <stdlib.h>\n" + includes)
    ffi.emit_c_code(out)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
