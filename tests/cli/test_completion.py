#!/usr/bin/env python3
"""Completion as bash, zsh and fish give it. A shell that is not here is left out.

Arguments: kitfox, kitfox-tables. KITFOX_SOURCE is the source root.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

KITFOX, TABLES = (os.path.abspath(w) for w in sys.argv[1:3])
ROOT = os.path.abspath(os.environ.get("KITFOX_SOURCE", "."))
HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(ROOT, "completions")
failures = 0
sys.path.insert(0, os.path.join(ROOT, "tools"))
from manuals import shells  # noqa: E402

# Cuts a line as readline does: at spaces, and at "=" and ":", which are words of their own.
BASH = r"""
source "$1/$3.bash"
line=$2 COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
spaced=${line//=/ = } spaced=${spaced//:/ : }
read -r -a COMP_WORDS <<< "$spaced"
[[ $spaced != *" " ]] || case $line in *=|*:) ;; *) COMP_WORDS+=("") ;; esac
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$line COMP_POINT=${#line}
"_${3//-/_}"
printf '%s\n' "${COMPREPLY[@]}"
"""
FISH = 'source $argv[1]/$argv[3].fish; complete -C $argv[2] | string replace -r "\\t.*" ""'


def check(what, ok, detail=""):
    global failures
    failures += not ok
    print(("ok    " if ok else "FAIL  ") + what + ("" if ok else f": {str(detail)[:2000]}"))


def run(words, cwd):
    path = os.path.dirname(KITFOX) + os.pathsep + os.environ["PATH"]
    p = subprocess.run(
        words,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": path, "HOME": cwd, "TERM": "xterm"},
    )
    return p.stdout.splitlines(), p.stderr


def offered(shell, line, cwd):
    """What the shell offers in place of the last word: (words, errors). Forms that only a shell has are made alike."""
    program = line.split()[0]
    words = {
        "bash": ["bash", "--norc", "-c", BASH, "bash", FOLDER, line, program],
        "zsh": ["zsh", "-f", os.path.join(HERE, "zsh_capture.zsh"), FOLDER, line],
        "fish": ["fish", "--no-config", "-c", FISH, FOLDER, line, program],
    }[shell]
    out, err = run(words, cwd)
    found = set()
    for word in out:
        word = word.strip().replace("\\?", "?")
        word = word.split("=", 1)[1] if word.startswith("--") and "=" in word else word
        found.add(word.removeprefix("timm:").rstrip("/"))
    return found - {""}, err


def try_shell(shell, tables, cwd):
    def same(line, wanted):
        found, err = offered(shell, line, cwd)
        check(f"{shell}: {line!r}", found == set(wanted) and not err, (found ^ set(wanted), err))

    verbs = {v["name"]: v for v in tables["verbs"]}
    found, err = offered(shell, "kitfox ", cwd)
    check(f"{shell}: all verbs", set(verbs) <= found and not err, (set(verbs) - found, err))
    for name, verb in verbs.items():
        long = {n for o in verb["options"] + [shells.HELP] for n in shells.names(o) if n.startswith("--")}
        found, err = offered(shell, f"kitfox {name} --", cwd)
        check(f"{shell}: all options of {name}", found == long and not err, (found ^ long, err))
    done = set()
    for name, verb in verbs.items():
        for option in verb["options"]:
            wanted = shells.choices(option)
            if not wanted or option["name"] in done:
                continue
            done.add(option["name"])
            same(f"kitfox {name} --{option['name']} ", wanted)
            same(
                f"kitfox {name} --{option['name']}={wanted[0][:1]}", [w for w in wanted if w.startswith(wanted[0][:1])]
            )
    check(f"{shell}: options with choices", len(done) >= 8, done)
    same("kitfox cl", ["classify"])
    same("kitfox classify pic", ["picture.png"])
    same("kitfox classify --labels pi", ["picture.png"])
    same("kitfox eval --data ", ["folder"])
    same("kitfox import x.onnx -o mo", ["model.kfx"])
    same("kitfox classify -k ", [])
    zoo = [line.split()[0] for line in run([KITFOX, "zoo"], cwd)[0][1:]]
    small = [n for n in zoo if n.startswith("mobilenetv3_small")]
    same("kitfox import --arch mobilenetv3_small", small)
    same("kitfox import --preprocess timm:mobilenetv3_small", small)
    names = [line.split()[0] for line in run([KITFOX, "pull", "--list"], cwd)[0]]
    same("kitfox pull mobilenetv3_s", [n for n in names if n.startswith("mobilenetv3_s")])
    same("kitfox rdk h", ["hb_mapper", "hrt_model_exec", "hb_perf"])
    same("kitfox rdk hb_mapper ", ["checker", "makertbin"])
    same("kitfox rdk hb_mapper checker --mod", ["--model-type", "--model"])
    same("kitfox rdk hrt_model_exec perf --thread", ["--thread_num"])
    same("kitfox-run ve", ["verify"])
    same("kitfox-run bench --pro", ["--profile"])
    same("kitfox-run stream --range=l", ["limited"])


def choices_are_taken(tables):
    """Every value that is offered is one that the program takes."""
    for verb in tables["verbs"]:
        for option in verb["options"]:
            for word in shells.choices(option):
                out, err = run([KITFOX, verb["name"], f"--{option['name']}", word, "--help"], ROOT)
                check(f"{verb['name']} --{option['name']} {word}", out and not err, err)


tables = json.loads(subprocess.run([TABLES], capture_output=True, text=True, check=True).stdout)
with tempfile.TemporaryDirectory() as cwd:
    os.mkdir(os.path.join(cwd, "folder"))
    for name in ("picture.png", "model.kfx"):
        open(os.path.join(cwd, name), "w").close()
    for shell in ("bash", "zsh", "fish"):
        if shutil.which(shell):
            try_shell(shell, tables, cwd)
        else:
            print(f"SKIP  {shell} is not here")
choices_are_taken(tables)
sys.exit(bool(failures))
