#!/usr/bin/env python3
"""The manual pages and completions of the tree are what tools/make_manuals.py makes of the program as it is now.

Arguments: kitfox-tables, kitfox-run-tables, kitfox; `readers` gives each page to groff, man and mandoc as well, those
that are here. KITFOX_SOURCE is the source root.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

TABLES, RUN_TABLES, KITFOX = sys.argv[1:4]
ROOT = os.path.abspath(os.environ.get("KITFOX_SOURCE", "."))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import make_manuals  # noqa: E402
from manuals import headers  # noqa: E402

failures = 0


def check(what, ok, detail=""):
    global failures
    failures += not ok
    print(("ok    " if ok else "FAIL  ") + what + ("" if ok else f": {str(detail)[:2000]}"))


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def run(*words, **more):
    p = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, **more)
    return p.returncode, (p.stderr if words[0] == "man" else p.stdout + p.stderr)


def same_as_made():
    code, text = run(
        sys.executable, os.path.join(ROOT, "tools", "make_manuals.py"), "--check", TABLES, RUN_TABLES, ROOT
    )
    check("man/ and completions/ are as they would be made now", code == 0, text)


def tables_are_the_programs():
    """Each option that --help of a verb has is in its page, and no other."""
    tables = json.loads(run(TABLES)[1])
    for verb in tables["verbs"]:
        listed = set(re.findall(r"^ +(?:-., )?\s*(--[\w-]+)", run(KITFOX, verb["name"], "--help")[1], re.M)) - {
            "--usage"
        }
        page = read("man", f"kitfox-{verb['name']}.1").replace("\\-", "-")
        options = page[page.index(".SH OPTIONS") : page.index(".SH EXIT STATUS")].split(".SH FLAGS")[0]
        tags = re.findall(r"^\.TP\n(.*)$", options, re.M)
        shown = {m for tag in tags for m in re.findall(r"--[\w-]+", tag)}
        aliases = {f"--{a}" for o in verb["options"] for a in o["aliases"]}
        check(f"kitfox-{verb['name']}.1: the options of --help", shown - aliases == listed, shown ^ listed)
        check(f"kitfox-{verb['name']}.1 has an example", "\n.SH EXAMPLES\n" in page)
    page = read("man", "kitfox-classify.1")
    check("ranges come from the program", "It takes a number from 1 to 1000." in page)
    check("choices too", "none of" not in page and "bicubic" in page)


def environment_is_whole():
    asked = set()
    for folder in ("src", "programs"):
        for path in glob.glob(os.path.join(ROOT, folder, "**", "*.c"), recursive=True):
            with open(path) as f:
                asked |= set(re.findall(r'getenv\("(\w+)"\)', f.read()))
    check(
        "every variable that is asked for has a text",
        asked == set(make_manuals.ENVIRONMENT),
        asked ^ set(make_manuals.ENVIRONMENT),
    )


def libraries_are_whole():
    """Every exported function has an entry in the page of its library, and every header is in one."""
    groups = dict(re.findall(r"(\w+)(?::\s*\w+)?\s*\{([^}]*)\}", re.sub(r"#.*", "", read("src", "libkitfox.map"))))
    names = [n for group in headers.LIBRARIES.values() for n in group]
    check("every public header is in a page", sorted(names) == sorted(os.listdir(headers.folder(ROOT))), names)
    for library in headers.LIBRARIES:
        exported = set(re.findall(r"kf_[a-z]\w*", re.sub(r"private \w+;", "", groups[library])))
        entries = {
            n for line in re.findall(r'^\.SS "?(.*?)"?$', read("man", f"{library}.3"), re.M) for n in line.split(", ")
        }
        check(
            f"{library}.3 has all {len(exported)} exported functions",
            exported and exported <= entries,
            exported - entries,
        )


def nothing_is_lost():
    """Declarations are laid out anew for narrow pages: every word of the header is still there."""

    def words(text):
        return sorted(re.findall(r"\w+|[;{}()]", text))

    for name in sorted(os.listdir(headers.folder(ROOT))):
        for item in headers.read(os.path.join(headers.folder(ROOT), name))["items"]:
            for width in (40, 68, 200):
                shown = headers.narrow(item["code"], width)
                if words(shown) != words(item["code"]):
                    check(f"{name}: {item['name']} at {width} columns", False, shown)
    check("a declaration keeps its words", words("int f(int a /* b */);") == words("int f( int a /*b */);"))


def link_checker_works():
    """What tools/site/check_site.py has to find is found, and a site without faults passes."""
    good = '<a href="b.html#here">b</a><a href="https://elsewhere.example/">e</a><link rel="stylesheet" href="a.css">'
    wrong = {
        "no such file": '<a href="c.html">c</a>',
        "no such anchor": '<a href="b.html#there">b</a>',
        "loads": '<img src="https://elsewhere.example/x.png">',
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("b.html", '<p id="here">'), ("a.css", "a { color: red }"), ("a.html", good)):
            with open(os.path.join(folder, name), "w") as f:
                f.write(text)
        words = (sys.executable, os.path.join(ROOT, "tools", "site", "check_site.py"), folder)
        code, text = run(*words)
        check("a site without faults passes", code == 0, text)
        with open(os.path.join(folder, "a.html"), "w") as f:
            f.write(good + "".join(wrong.values()))
        code, text = run(*words)
        check("a wrong file, anchor and host are found", code == 1 and all(w in text for w in wrong), text)


def readers():
    for page in sorted(glob.glob(os.path.join(ROOT, "man", "*.[0-9]"))):
        name = os.path.basename(page)
        for words in (
            ("groff", "-man", "-Tutf8", "-ww", "-z", page),
            ("mandoc", "-T", "lint", page),
            ("man", "--warnings", "-E", "UTF-8", "-l", "-P", "true", page),
        ):
            if not shutil.which(words[0]):
                print(f"SKIP  {name}: no {words[0]}")
                continue
            text = run(*words, env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})[1]
            text = "\n".join(line for line in text.splitlines() if "locale" not in line)
            check(f"{name}: {words[0]} finds nothing", not text, text)


if sys.argv[4:] == ["readers"]:
    readers()
else:
    same_as_made()
    tables_are_the_programs()
    environment_is_whole()
    libraries_are_whole()
    nothing_is_lost()
    link_checker_works()
sys.exit(bool(failures))
