#!/usr/bin/env python3
"""No option of a verb is forgotten in Python: a parameter has its name, or docs/PYTHON.md says what takes its place.

Usage: test_options.py KITFOX, by a Python that has the package (run.py gives it the tree's own). Prints one line for
each check.
"""

import inspect
import os
import re
import sys

from common import ROOT, case, check, kitfox, run, run_cases

from kitfox._quantize import _FLAGS

LOAD = (kitfox.load, kitfox.graph)
# What stands for a verb. The parameters of `kitfox.load` and `kitfox.graph` count where a call passes them on.
CALLS = {
    "classify": (kitfox.Model.classify, kitfox.Model.classify_iter, *LOAD),
    "stream": (kitfox.Model.nv12, *LOAD),
    "run": (kitfox.Model.run, *LOAD),
    "info": LOAD,
    "import": (kitfox.graph, kitfox.Graph.save),
    "check": (kitfox.check,),
    "simplify": (kitfox.simplify,),
    "export": (kitfox.export_onnx,),
    "quantize": (kitfox.quantize, kitfox.graph),
    "compare": (kitfox.compare, *LOAD),
    "eval": (kitfox.evaluate, *LOAD),
    "verify": (kitfox.verify,),
    "zoo": (kitfox.zoo,),
    "bench": (kitfox.bench, *LOAD),
    "pull": (kitfox.pull,),
}
# `kitfox serve` is a program of its own; kitfox.rdk stands for the board's modules, and the tools have no calls.
NO_CALL = {"serve", "rdk"}
OPTION = re.compile(r"^ +(?:-., )?\s*--([\w-]+)(=\S+)?", re.M)
EVERYWHERE = {"help", "usage", "json"}
# Switches of the quantizer, which are collected.
SWITCHES = {"quantize": set(_FLAGS)}


def options_of(verb):
    return {m[1]: m[2] for m in OPTION.finditer(run(verb, "--help")[1]) if m[1] not in EVERYWHERE}


def parameters(calls):
    return {name for call in calls for name in inspect.signature(call).parameters}


def has(name, known):
    words = name.replace("-", "_")
    return words in known or words.startswith("no_") and words[3:] in known


def stated():
    """{(verb, option): what Python has}, from the table of docs/PYTHON.md."""
    with open(os.path.join(ROOT, "docs", "PYTHON.md"), encoding="utf-8") as f:
        text = f.read().split("## Options of the command line")[1].split("\n## ")[0]
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| `--"):
            continue
        for option in re.findall(r"`--([\w-]+)`", cells[0]):
            for verb in cells[1].split(", "):
                found[verb, option] = cells[2]
    return found


@case
def every_option():
    table, used = stated(), set()
    verbs = {line.split()[0] for line in run("--help")[1].splitlines() if re.match(r"  \w", line)}
    check(
        "every verb has a call, or is known to have none", verbs == set(CALLS) | NO_CALL, verbs ^ (set(CALLS) | NO_CALL)
    )
    for verb, calls in CALLS.items():
        known, missing = parameters(calls), []
        for option in options_of(verb):
            if (verb, option) in table:
                used.add((verb, option))
            elif not has(option, known | SWITCHES.get(verb, set())):
                missing.append(option)
        check(f"{verb}: parameters for its options", not missing, missing)
    check("the page states nothing that no verb has", used == set(table), sorted(set(table) - used))


def parameter_named(cell):
    """The parameter or the call that a row of the table begins with."""
    m = re.match(r"`(\w+)=|`kitfox\.(\w+)\(", cell)
    return m and (m[1] or m[2])


@case
def what_the_page_says_is_there():
    for (verb, option), cell in stated().items():
        name = parameter_named(cell)
        there = name is None or name in parameters(CALLS[verb]) or hasattr(kitfox, name)
        check(f"{verb} --{option}: {cell[:40]}", there, name)


VALUES = {"color": "rgb", "crop-mode": "center", "crop": "center", "interpolation": "bilinear", "pillow": "13"}
VALUES.update(
    {"method": "max", "scores": "logits", "mean": "0.5", "std": "0.5", "target-cosine": "0.9", "crop-pct": "1"}
)


@case
def beside_a_yaml_file():
    """What applies beside a configuration is a parameter of quantize_config."""
    table, known = stated(), parameters((kitfox.quantize_config,)) | SWITCHES["quantize"]
    refused, missing = set(), []
    for option, argument in options_of("quantize").items():
        given = [VALUES.get(option, "90")] if argument else []
        code, _, err = run("quantize", "nosuch.yaml", f"--{option}", *given)
        if "does not apply beside a YAML file" in err:
            refused.add(option)
        elif ("quantize", option) not in table and not has(option, known):
            missing.append((option, err[:90]))
    check("some options are refused there", len(refused) > 8, refused)
    check("the others have parameters", not missing, missing)
    extra = {o for o in refused if has(o, parameters((kitfox.quantize_config,)))}
    check("those that the file says have none", not extra, extra)


sys.exit(run_cases())
