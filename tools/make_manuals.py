#!/usr/bin/env python3
"""Manual pages and the completion of shells, from what is written elsewhere: the tables of options of the programs, the
sections of docs/CLI.md and docs/FORMAT.md, and the comments of the public headers.

Usage: make_manuals.py [--check] KITFOX_TABLES KITFOX_RUN_TABLES [ROOT]. The first two are programs of the build folder.
Writes man/ and completions/ of ROOT (default: this tree); with --check only says which files differ, status 1 then.
The files are kept in the tree, so that a cross build or one without Python installs them all the same.
"""

import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))
from manuals import headers, roff, shells  # noqa: E402

DATE = "2026-11-29"  # of the last change of what these pages are made of
ENVIRONMENT = {
    "KITFOX_CPU": (
        None,
        "The best instruction set that may be used. `kitfox info --cpus` lists the names. A name that cannot be "
        "used gets a note on standard error; one of another architecture is an error. The instruction set changes"
        " the time, not the result of a quantized network.",
    ),
    "KITFOX_THREADS": (None, "The number of threads where no option says one, from 1 to 64."),
    "NO_COLOR": (None, "If it is set, nothing is printed in colour."),
    "TERM": (None, "The value `dumb` means no colour, bars of `#`, and progress as a line every ten seconds."),
    "XDG_CACHE_HOME": (
        "pull",
        "The folder of caches; weights go to its folder `kitfox`. The default is `.cache` in `HOME`.",
    ),
    "HOME": ("pull", "The folder that has `.cache` where `XDG_CACHE_HOME` is not set."),
    "SSL_CERT_FILE": (
        "pull",
        "The file of trusted certificates, in place of the system's.",
    ),
    "NOTIFY_SOCKET": (
        "serve",
        "The socket of a service manager, as systemd sets it for services of `Type=notify`. The server says there"
        " when it is ready.",
    ),
    "HB_DNN_PROFILER_LOG_PATH": (
        "rdk",
        "The folder for `profiler.log` and `profiler.csv` of `hrt_model_exec perf`, where `--profile_path` is not"
        " given.",
    ),
}
STATUS = [
    ("0", "All went well."),
    ("1", "Something failed. A message on standard error says what, why and what to try."),
    ("2", "The command itself was wrong: an unknown verb or option, a value out of its range, a missing argument."),
]
VERB_STATUS = {
    "classify": "The status is also 1 if a picture could not be read; the others are labelled all the same.",
    "check": "The status is also 1 if the network does not compile.",
    "verify": "The status is also 1 if a step differs.",
    "serve": "A server that `SIGTERM` or `SIGINT` ends has status 0.",
    "stream": "The status is also 1 if the last frame is cut.",
}
GROUPS = {10: "Options of several verbs", 11: "Limits"}


def read(root, *path):
    with open(os.path.join(root, *path), encoding="utf-8") as f:
        return f.read()


def sections(markdown):
    """{heading: text} of the headings of the second degree, and what is before the first under ""."""
    parts = re.split(r"^## (.+)$", markdown, flags=re.M)
    return {"": parts[0], **{h.strip(): text for h, text in zip(parts[1::2], parts[2::2])}}


def link_of(program, verbs):
    """Links of docs/CLI.md as a manual names them."""

    def link(label, target):
        name = target.lstrip("#")
        if target.startswith("#") and name in verbs:
            return f"**{program}-{name}**(1)"
        if target.startswith("#"):
            return label
        if target.startswith("http"):
            return f"{label} (<{target}>)" if target not in label else f"<{target}>"
        place = target if "/" in target else f"docs/{target}"
        return f"`{place}`" if re.sub(r"[`\s]", "", label).endswith(target) else f"{label} (`{place}`)"

    return link


def split_examples(text):
    """(description, examples) as blocks: code that begins with a prompt goes with the paragraph that introduces it."""
    kept, examples = [], []
    for kind, value in roff.blocks(text):
        if kind == "code" and value[:1] and value[0].startswith("$ "):
            if kept and kept[-1][0] == "text" and kept[-1][1].endswith(":"):
                examples.append(kept.pop())
            examples.append((kind, value))
        else:
            kept.append((kind, value))
    return kept, examples


def sentence(text):
    """Begins with a capital, unless its first word is a name."""
    return text if re.match(r"(?:https?|timm|file)\b", text) else text[:1].upper() + text[1:]


def option_lines(option):
    """An option as a tagged paragraph: its names, what it does, its values."""
    forms = []
    for name in shells.names(option):
        if not option["argument"]:
            forms.append(roff.bold(name))
        elif name.startswith("--"):
            forms.append(f"{roff.bold(name + '=')}\\fI{roff.escape(option['argument'], code=True)}\\fR")
        else:
            forms.append(f"{roff.bold(name)} \\fI{roff.escape(option['argument'], code=True)}\\fR")
    text = option["help"].strip()
    text = sentence(text) + ("" if text.endswith((".", "?")) else ".")
    lines = [".TP", ", ".join(forms)] + roff.lines_of(roff.options_in(text))
    said = re.match(
        r"(?:-\S+:?)?.*?\?'?: (.*?),? (?:is|are) needed|-\S+ (.*) (?:is|are) needed", option.get("refusal") or ""
    )
    words = shells.choices(option)
    if words and not all(w in option["help"] or w in (option["argument"] or "") for w in words):
        lines += roff.lines_of(roff.inline("Values: " + ", ".join(f"`{w}`" for w in words) + "."))
    elif said and not words:
        takes = (said[1] or said[2]).replace(" with commas", ", separated by commas")
        lines += roff.lines_of(roff.options_in(f"It takes {takes}."))
    return lines


def options_section(options):
    """Own options as they are grouped, then the shared ones under headings."""
    out, headed = [], None
    for o in sorted(
        options + [shells.HELP],
        key=lambda o: o["group"] if o["group"] in GROUPS else (0 if o["name"] != "help" else 12),
    ):
        heading = GROUPS.get(o["group"], "Help" if o["name"] == "help" else None)
        if heading != headed:
            out.append(".SS " + roff.quoted(heading))
            headed = heading
        out += option_lines(o)
    return out


def tool_lines(tools):
    out = []
    for tool in tools:
        out += [".SS " + roff.quoted("Flags of " + tool["name"])]
        for f in tool["flags"]:
            names = ([f"-{f['letter']}"] if f["letter"] else []) + [f"--{f['name']}"]
            text = f["help"] + (f"; not used: {f['idle']}" if f["idle"] else "")
            if f.get("range"):
                text += f". It takes a number from {f['range'][0]} to {f['range'][1]}."
            out += [".TP", ", ".join(roff.bold(n) for n in names)] + roff.lines_of(roff.options_in(text))
    return out


def synopsis(program, verb, arguments):
    out = []
    for i, form in enumerate(arguments.split("\n")):
        words = [roff.bold(f"{program} {verb}"), "[\\fIOPTION\\fR]..."]
        words += [roff.bold(w) if w.startswith("-") else roff.escape(w, code=True) for w in form.split()]
        out += ([".br"] if i else []) + [" ".join(words)]
    return out


def environment(verb, words=None):
    out = []
    for name, (only, text) in ENVIRONMENT.items():
        if only in (None, verb) or verb is None:
            out += [".TP", roff.bold(name)] + roff.paragraph(text)
    return out


def status(verb=None):
    out = []
    for number, text in STATUS:
        out += [".TP", roff.bold(number)] + roff.paragraph(text)
    if verb in VERB_STATUS:
        out += [".PP"] + roff.paragraph(VERB_STATUS[verb])
    return out


def see_also(names):
    refs = [f"\\fB{roff.escape(n, code=True)}\\fR({s})" for n, s in names]
    return roff.section(
        "SEE ALSO", [", ".join(refs[i : i + 1]) + ("," if i + 1 < len(refs) else "") for i in range(len(refs))]
    )


def neighbours(text, verbs, own):
    """The verbs that a section links to."""
    found = [v for v in re.findall(r"\]\(#([\w-]+)\)", text) if v in verbs and v != own]
    return list(dict.fromkeys(found))


NEAR = {
    "classify": ["stream", "eval", "import"],
    "stream": ["classify"],
    "run": ["info", "compare"],
    "info": ["check", "verify"],
    "import": ["check", "zoo", "quantize", "info"],
    "check": ["import", "quantize"],
    "simplify": ["export"],
    "export": ["simplify"],
    "quantize": ["compare", "eval", "import"],
    "compare": ["quantize", "eval"],
    "eval": ["compare", "classify"],
    "verify": ["info", "bench"],
    "serve": ["classify"],
    "zoo": ["pull", "import"],
    "bench": ["verify", "eval"],
    "pull": ["zoo", "import"],
}


def verb_page(program, verb, verbs, text, tools, version):
    link = link_of(program, verbs)
    description, examples = split_examples(text)
    about = verb["doc"].split("\v")
    lines = roff.title(f"{program}-{verb['name']}", 1, DATE, version)
    lines += roff.section(
        "NAME", [f"{roff.escape(program + '-' + verb['name'], code=True)} \\- {roff.escape(verb['does'])}"]
    )
    lines += roff.section("SYNOPSIS", synopsis(program, verb["name"], verb["arguments"]))
    body = roff.paragraph(roff_safe(about[0]))
    for part in about[1:]:
        body += [".PP"] + roff.paragraph(roff_safe(part))
    lines += roff.section("DESCRIPTION", body + roff.page(description, link))
    lines += roff.section("OPTIONS", options_section(verb["options"]))
    if verb["name"] == "rdk":
        lines += roff.section("FLAGS OF THE TOOLS", tool_lines(tools))
    lines += roff.section("EXIT STATUS", status(verb["name"]))
    lines += roff.section("ENVIRONMENT", environment(verb["name"]))
    lines += roff.section("EXAMPLES", roff.page(examples, link))
    near = list(dict.fromkeys(neighbours(text, verbs, verb["name"]) + NEAR.get(verb["name"], [])))
    return lines + see_also([(program, 1)] + [(f"{program}-{n}", 1) for n in near] + [("kfx", 5)])


def roff_safe(text):
    """Text of a table of argp: `this' is how it marks words."""
    return re.sub(r"`([^'`]+)'", r"`\1`", text)


def program_page(tables, cli, version):
    """kitfox(1): the verbs, models and pictures, from the start of docs/CLI.md."""
    verbs = {v["name"] for v in tables["verbs"]}
    link = link_of("kitfox", verbs)
    lines = roff.title("kitfox", 1, DATE, version)
    lines += roff.section("NAME", ["kitfox \\- run, compile, quantize and measure MobileNetV3 and networks like it"])
    lines += roff.section(
        "SYNOPSIS",
        [
            f"{roff.bold('kitfox')} \\fIVERB\\fR [\\fIOPTION\\fR]... \\fIARGUMENT\\fR...",
            ".br",
            roff.bold("kitfox --help"),
            ".br",
            roff.bold("kitfox --version"),
        ],
    )
    head = [
        (
            "text",
            "Every verb has a page of its own, and `kitfox VERB --help` explains its options. " "What all verbs share:",
        )
    ]
    head += [block for block in roff.blocks(cli[""]) if block[0] == "item"]
    listed = []
    for v in tables["verbs"]:
        listed += [".TP", f"\\fB{roff.escape('kitfox-' + v['name'], code=True)}\\fR(1)"] + roff.paragraph(
            v["does"][:1].upper() + v["does"][1:] + "."
        )
    lines += roff.section("DESCRIPTION", roff.page(head, link))
    lines += roff.section("VERBS", listed)
    lines += roff.section("EXIT STATUS", status())
    lines += roff.section("ENVIRONMENT", environment(None))
    shown = [split_examples(cli[verb])[1] for verb in ("classify", "import", "quantize", "compare", "verify")]
    first = [next(block for block in blocks if block[0] == "code") for blocks in shown]
    lines += roff.section("EXAMPLES", roff.page(first, link))
    return lines + see_also(
        [(f"kitfox-{v['name']}", 1) for v in tables["verbs"]] + [("kitfox-runtime", 1), ("libkitfox", 3), ("kfx", 5)]
    )


def run_page(run, version):
    """The page of the small program: its name would be that of the verb `run`, hence the suffix."""
    lines = roff.title("kitfox-runtime", 1, DATE, version)
    lines += roff.section("NAME", ["kitfox\\-runtime \\- the program kitfox\\-run: the verbs that need no toolchain"])
    lines += roff.section(
        "SYNOPSIS", [f"{roff.bold('kitfox-run')} \\fIVERB\\fR [\\fIOPTION\\fR]... \\fIARGUMENT\\fR..."]
    )
    text = (
        "`kitfox-run` is the part of `kitfox` that a device needs: it takes compiled models (`.kfx`), and neither "
        "imports nor changes a network. A model must be named; there is none built in. Its verbs have the options "
        "of the same verbs of `kitfox`; those that only an import can honour are refused. The page of the verb "
        "`run` of `kitfox` is **kitfox-run**(1)."
    )
    lines += roff.section("DESCRIPTION", roff.page(text))
    listed = []
    for v in run["verbs"]:
        listed += [".TP", roff.bold("kitfox-run " + v["name"])] + roff.paragraph(
            f"{v['does'][:1].upper()}{v['does'][1:]}: **kitfox-{v['name']}**(1)."
        )
    lines += (
        roff.section("VERBS", listed)
        + roff.section("EXIT STATUS", status())
        + roff.section("ENVIRONMENT", environment("run"))
    )
    return lines + see_also([("kitfox", 1)] + [(f"kitfox-{v['name']}", 1) for v in run["verbs"]] + [("kfx", 5)])


def format_page(root, version):
    text = read(root, "docs", "FORMAT.md")
    body = re.sub(r"^# .*\n", "", text)
    parts = sections(body)
    lines = roff.title("kfx", 5, DATE, version)
    lines += roff.section("NAME", ["kfx \\- a compiled network of KitFox"])
    link = link_of("kitfox", set())
    lines += roff.section("DESCRIPTION", roff.page(parts[""], link))
    for heading, part in list(parts.items())[1:]:
        lines += roff.section(roff.quoted(heading.upper()), roff.page(part, link))
    return lines + see_also([("kitfox-import", 1), ("kitfox-info", 1), ("kitfox-verify", 1), ("libkitfox", 3)])


def library_page(root, library, version):
    names = headers.LIBRARIES[library]
    read_ = {n: headers.read(os.path.join(headers.folder(root), n)) for n in names}
    first = re.split(r"\.\s|\.$", read_[names[0]]["role"])[0].replace(f" ({library})", "")
    what = f"{library} \\- " + roff.escape(first[:1].lower() + first[1:])
    lines = roff.title(library, 3, DATE, version)
    lines += roff.section("NAME", roff.lines_of(what))
    lines += roff.section("LIBRARY", roff.page(f"`pkg-config --cflags --libs {library[3:]}`"))
    lines += roff.section("SYNOPSIS", [x for n in names for x in (roff.bold(f"#include <kitfox/{n}>"), ".br")][:-1])
    for n in names:
        body = roff.page("\n\n".join(prose(read_[n]["role"])))
        for entry in headers.join_shared(read_[n]["items"]):
            body += [".SS " + roff.quoted(", ".join(entry["names"]))]
            code = roff.code(headers.narrow(entry["code"], 68).split("\n"))
            body += code[1:] if code[0] == ".PP" else code
            if entry["doc"]:
                body += [".PP"] + roff.paragraph(" ".join(entry["doc"].split()))
        lines += roff.section(roff.quoted(n.upper()), body)
    others = [(other, 3) for other in headers.LIBRARIES if other != library]
    return lines + see_also([("kitfox", 1)] + others + [("kfx", 5)])


def prose(role):
    """A header's role as blocks: lines that are indented are code."""
    out, code = [], []
    for line in role.split("\n"):
        if line.startswith("    "):
            code.append(line[4:])
            continue
        if code:
            out.append("```\n" + "\n".join(code) + "\n```")
            code = []
        if out and line and not out[-1].startswith("```") and not re.match(r"[A-Z]\w+ rule:", line):
            out[-1] += " " + line
        elif line:
            out.append(line)
    return out


def make(tables, run, root):
    """{path: text} of all that is made."""
    cli, version = sections(read(root, "docs", "CLI.md")), tables["version"]
    verbs = {v["name"] for v in tables["verbs"]}
    pages = {
        "kitfox.1": program_page(tables, cli, version),
        "kitfox-runtime.1": run_page(run, version),
        "kfx.5": format_page(root, version),
    }
    for v in tables["verbs"]:
        pages[f"kitfox-{v['name']}.1"] = verb_page("kitfox", v, verbs, cli[v["name"]], tables["tools"], version)
    for library in headers.LIBRARIES:
        pages[f"{library}.3"] = library_page(root, library, version)
    files = {f"man/{name}": "\n".join(lines) + "\n" for name, lines in pages.items()}
    for program, verbs_, tools in (("kitfox", tables["verbs"], tables["tools"]), ("kitfox-run", run["verbs"], [])):
        files[f"completions/{program}.bash"] = shells.bash(program, verbs_, tools)
        files[f"completions/_{program}"] = shells.zsh(program, verbs_, tools)
        files[f"completions/{program}.fish"] = shells.fish(program, verbs_, tools)
    return files


def main():
    words = sys.argv[1:]
    check = words[:1] == ["--check"]
    words = words[check:]
    if len(words) not in (2, 3):
        sys.exit(__doc__)
    root = words[2] if len(words) == 3 else ROOT
    tables, run = (
        json.loads(subprocess.run([w], capture_output=True, text=True, check=True).stdout) for w in words[:2]
    )
    files, wrong = make(tables, run, root), 0
    for path, text in files.items():
        place = os.path.join(root, path)
        if check:
            same = os.path.exists(place) and read(root, path) == text
            print(("ok    " if same else "FAIL  ") + path)
            wrong += not same
            continue
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "w", encoding="utf-8") as f:
            f.write(text)
    for folder in ("man", "completions"):
        for name in os.listdir(os.path.join(root, folder)):
            if f"{folder}/{name}" not in files and name != "meson.build":
                print(f"FAIL  {folder}/{name}: nothing makes it; remove it")
                wrong += 1
    if wrong:
        print(
            "Make them anew: python3 tools/make_manuals.py BUILD/programs/kitfox-tables "
            "BUILD/programs/kitfox-run-tables"
        )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
