"""Pages that are made: the manual from man/, the C interface from include/kitfox, the Python one from python/kitfox.

All give Markdown. Words that are names of the C interface become links to where they are declared.
"""

import ast
import os
import re

from manuals import headers, roff

# ---- manual pages --------------------------------------------------------------------------------------------------

ESCAPES = {
    "\\-": "-",
    "\\e": "\\",
    "\\(ti": "~",
    "\\(ha": "^",
    "\\(aq": "'",
    "\\(ga": "`",
    "\\(dq": '"',
    "\\&": "",
    "\\:": "",
    "\\(bu": "-",
}
REQUESTS = {".ad", ".br", ".IP", ".nf", ".nh", ".fi", ".PP", ".RE", ".RS", ".SH", ".SS", ".TH", ".TP", '.\\"'}


def text_of(line):
    """A line of a page without escapes of characters; those of fonts stay."""
    line = re.sub(r"\\\[u([0-9A-F]+)\]", lambda m: chr(int(m[1], 16)), line)
    return re.sub(r"\\(?:\(..|[-e&:])", lambda m: ESCAPES[m[0]], line)


def markdown_of(line, pages):
    """Fonts as marks, names of pages as links."""

    def marked(m):
        inner = text_of(m[2])
        if m[1] == "I":
            return "*" + markdown_escape(inner) + "*"
        return "`" + inner + "`" if "`" not in inner else inner

    def linked(m):
        name = f"{text_of(m[1])}.{m[2]}"
        return f"[{text_of(m[1])}({m[2]})]({name}.md)" if name in pages else f"{text_of(m[1])}({m[2]})"

    parts = re.split(r"(\\fB[^\\]*(?:\\-[^\\]*)*\\fR\(\d\)|\\f[BI].*?\\fR)", line)
    out = []
    for part in parts:
        page, font = re.fullmatch(r"\\fB(.*)\\fR\((\d)\)", part), re.fullmatch(r"\\f([BI])(.*)\\fR", part)
        if page:
            out.append(linked(page))
        elif font:
            out.append(marked(font))
        else:
            plain = re.split(r"(https?://[^\s)]+)", text_of(part))
            out += [f"<{x}>" if x.startswith("http") else markdown_escape(x) for x in plain]
    return "".join(out)


def markdown_escape(text):
    return re.sub(r"([\\`*_<\[\]])", r"\\\1", text)


def manual(text, pages):
    """A page of man/ as Markdown. It knows the requests that tools/manuals/roff.py writes, and refuses others."""
    out, tag, state = [], None, "text"

    def put(line, fresh=False):
        nonlocal tag
        if tag == "wanted":
            out.extend(["", line])
            tag = "first"
        elif tag == "first":
            out.append(":   " + line)
            tag = "more"
        else:
            out.append(("    " if tag in ("more", "item") else "") + line)

    for line in text.splitlines():
        word = line.split(" ")[0]
        if state == "code" and word != ".fi":
            out.append("    " * (tag in ("more", "item")) + text_of(line))
        elif line[:1] == ".":
            if word not in REQUESTS:
                raise ValueError(f"{line}: not a request of our pages")
            rest = text_of(line[len(word) :].strip().strip('"'))
            if word == ".TH":
                name, section = rest.split()[:2]
                out.append(f"# {name.lower()}({section})")
            elif word in (".SH", ".SS"):
                tag = None
                out += [
                    "",
                    ("## " if word == ".SH" else "### ")
                    + markdown_escape(rest.capitalize() if word == ".SH" else rest),
                    "",
                ]
            elif word == ".TP":
                tag = "wanted"
            elif word == ".IP":
                out += ["", "-   " + "\0"]
                tag = "item"
            elif word == ".PP":
                tag = None
                out.append("")
            elif word == ".nf":
                out += ["", "    " * (tag in ("more", "item")) + "```"]
                state = "code"
            elif word == ".fi":
                out += ["    " * (tag in ("more", "item")) + "```", ""]
                state = "text"
            elif word == ".br":
                out[-1] += "  "
        else:
            shown = markdown_of(line, pages)
            if out and out[-1].endswith("\0"):
                out[-1] = out[-1][:-1] + shown
            else:
                put(shown)
    return "\n".join(out) + "\n"


# ---- the C interface -----------------------------------------------------------------------------------------------


def names_of(root):
    """{name: "header.md#anchor"} of every declaration."""
    places = {}
    for group in headers.LIBRARIES.values():
        for header in group:
            for entry in headers.join_shared(headers.read(os.path.join(headers.folder(root), header))["items"]):
                for name in entry["names"]:
                    if name not in places or "{" in entry["code"]:
                        places[name] = f"{header[:-2]}.md#{anchor(entry['names'][0])}"
    return places


def anchor(name):
    return name.rstrip(".").lower().rstrip("_")


def with_links(text, places, here):
    """A comment as Markdown: names as code, and as links where they are declared elsewhere."""
    out, at = [], 0
    for m in re.finditer(r"`[^`]*`|\"[^\"]*\"|\b(?:kf|KF)_[\w*]+|\b[a-z]+(?:_[a-z0-9]+)+\b", text):
        out.append(markdown_escape(text[at : m.start()]))
        word, place = m[0].strip("`"), places.get(m[0])
        if place:
            out.append(f"[`{word}`]({place[len(here):] if place.startswith(here + '#') else place})")
        else:
            out.append(f"`{word}`")
        at = m.end()
    return "".join(out) + markdown_escape(text[at:])


def c_page(root, header, places):
    """A header: its role, then each declaration with its comment."""
    found = headers.read(os.path.join(headers.folder(root), header))
    here = header[:-2] + ".md"
    library = next(k for k, group in headers.LIBRARIES.items() if header in group)
    out = [f"# kitfox/{header}", "", f"Library `{library}`: `#include <kitfox/{header}>`", ""]
    for kind, value in roff.blocks(role_blocks(found["role"])):
        out += ["```c", *value, "```", ""] if kind == "code" else [with_links(value, places, here), ""]
    for title, kinds in (
        ("Types", ("struct", "enum", "union", "type", "callback")),
        ("Constants", ("macro",)),
        ("Functions", ("function", "object")),
    ):
        entries = [e for e in headers.join_shared(found["items"]) if e["kind"] in kinds]
        out += [f"## {title}", ""] if entries else []
        for entry in entries:
            heading = ", ".join(entry["names"])
            out += [f"### {markdown_escape(heading)} {{ #{anchor(entry['names'][0])} }}", ""]
            out += ["```c", headers.narrow(entry["code"], 84), "```", ""]
            out += [with_links(" ".join(entry["doc"].split()), places, here), ""] if entry["doc"] else []
    return "\n".join(out)


def role_blocks(role):
    """A header's role as Markdown: lines that are indented are code, "X rule:" begins a paragraph."""
    out, code = [], False
    for line in role.split("\n"):
        indented = line.startswith("    ")
        if indented != code:
            out += ["```" if code else "", "```" if indented else ""]
            code = indented
        if re.match(r"[A-Z]\w+ rule:", line):
            out.append("")
        out.append(line[4:] if code else line)
    return "\n".join(out + (["```"] if code else []))


# ---- the Python interface ------------------------------------------------------------------------------------------


def signature(node):
    """A function as it is called, one parameter a line where it is long."""
    args = ast.unparse(node.args)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    args = re.sub(r"^self(, )?", "", args)
    line = f"{node.name}({args}){returns}"
    if len(line) <= 88:
        return line
    return f"{node.name}(\n    " + ",\n    ".join(headers.parameters(args)) + f"\n){returns}"


def docstring(node):
    """Text of a node, with examples as code and lists of arguments as they are."""
    text, out, code = ast.get_docstring(node) or "", [], False
    for line in text.split("\n"):
        example = line.lstrip().startswith((">>>", "...")) or (code and line.strip() != "")
        if example != code:
            out += ["", "```pycon"] if example else ["```", ""]
            code = example
        out.append(line if not code else line.strip() if line.lstrip().startswith((">>>", "...")) else line)
    return "\n".join(out + (["```"] if code else []))


def members(node):
    """Public methods, properties and fields of a class."""
    for item in node.body:
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if not item.name.startswith("_") or item.name == "__init__" and ast.get_docstring(item):
                yield item


def python_entry(node):
    """A class with its fields, methods and properties, or a function."""
    out = [f"### {markdown_escape(node.name)} {{ #{node.name} }}", ""]
    if not isinstance(node, ast.ClassDef):
        return out + ["```python", signature(node), "```", "", docstring(node), ""]
    fields = [ast.unparse(n) for n in node.body if isinstance(n, ast.AnnAssign) and n.target.id[0] != "_"]
    bases = ", ".join(ast.unparse(b) for b in node.bases)
    head = f"class {node.name}({bases})" if bases else f"class {node.name}"
    out += ["```python", "\n".join([head] + [f"    {line}" for line in fields]), "```", "", docstring(node), ""]
    for item in members(node):
        call = signature(item)
        if any("property" in ast.unparse(d) for d in item.decorator_list):
            call = item.name + (f": {ast.unparse(item.returns)}" if item.returns else "")
        out += [f"#### {markdown_escape(node.name)}.{markdown_escape(item.name)}", ""]
        out += ["```python", call, "```", "", docstring(item), ""]
    return out


# The modules with public names, in the order in which a reader needs them.
PARTS = {
    "_model": "Models",
    "_results": "Results",
    "_graph": "Networks before they are compiled",
    "_quantize": "Quantization",
    "_lab": "What the verbs of kitfox do",
    "_torch": "From PyTorch",
    "_call": "Errors",
}


def python_page(root):
    """Every public name of the package, in the order in which its modules declare them."""
    folder = os.path.join(root, "python", "kitfox")
    with open(os.path.join(folder, "__init__.py")) as f:
        front = ast.parse(f.read())
    public = {}
    for n in ast.walk(front):
        if isinstance(n, ast.ImportFrom) and n.level:
            public.setdefault(n.module, []).extend(a.name for a in n.names if not (a.asname or a.name).startswith("_"))
    out = [
        "# The Python interface",
        "",
        "What `import kitfox` gives. [Python](PYTHON.md) has recipes.",
        "",
        docstring(front),
        "",
    ]
    shown = set()
    for module in [*PARTS, *(m for m in sorted(public) if m not in PARTS)]:
        with open(os.path.join(folder, module + ".py")) as f:
            tree = ast.parse(f.read())
        nodes = [n for n in tree.body if getattr(n, "name", None) in public.get(module, ())]
        title = PARTS.get(module) or (ast.get_docstring(tree) or module).split("\n")[0].split(":")[0].rstrip(".")
        out += [f"## {title}", ""] if nodes else []
        for node in nodes:
            shown.add(node.name)
            out += python_entry(node)
    missing = [n for names in public.values() for n in names if n not in shown]
    if missing:
        raise ValueError(f"no declaration of {missing} was found")
    return "\n".join(out)
