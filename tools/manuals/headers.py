"""The public headers as lists of what they declare: the one source of libkitfox(3) and of the site's API reference.

A header begins with a comment that says its role. A declaration ends with ";" outside braces, or is a #define. The
comment with two stars before it belongs to it; declarations without one share that of the declaration before.
"""

import os
import re
import textwrap

TOKENS = re.compile(
    r"(?P<doc>/\*\*(?!<).*?\*/)|(?P<comment>/\*.*?\*/)|(?P<define>#\s*define\b(?:\\\n|[^\n])*)|"
    r"(?P<directive>#(?:\\\n|[^\n])*)|(?P<extern>extern \"C\" \{)|(?P<end>^\}\s*$)",
    re.S | re.M,
)
ENDS = re.compile(r"[ \t]*(/\*\*<.*?\*/)?", re.S)


def plain(comment):
    """The text of a comment, without its stars."""
    text = re.sub(r"^/\*+<?|\*/$", "", comment.strip())
    return "\n".join(re.sub(r"^\s*\*? ?", "", line).rstrip() for line in text.split("\n")).strip()


def declaration(text, at):
    """End of the declaration that begins at `at`: behind its ";", and the comment behind that on the same line."""
    depth, i = 0, at
    while i < len(text):
        if text.startswith("/*", i):
            i = text.index("*/", i) + 2
            continue
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        i += 1
        if text[i - 1] == ";" and depth == 0:
            return ENDS.match(text, i).end()
    raise ValueError(text[at : at + 80])


def name_of(code):
    """(kind, name) of a declaration."""
    bare = re.sub(r"/\*.*?\*/", "", code, flags=re.S)
    if code.startswith("#"):
        return "macro", re.match(r"#\s*define\s+(\w+)", code)[1]
    callback = re.match(r"typedef[^{;]*\(\*(\w+)\)", bare)
    if callback:
        return "callback", callback[1]
    kind = re.match(r"(?:typedef\s+)?(enum|struct|union)?", bare)[1]
    if bare.startswith("typedef"):
        return kind or "type", re.search(r"(\w+)\s*;\s*$", bare)[1]
    if "(" in bare:
        return "function", re.search(r"\b(\w+)\s*\(", bare.replace("KF_API", ""))[1]
    named = re.match(r"(?:enum|struct|union)\s+(\w+)", bare)
    if named:
        return kind, named[1]
    if kind == "enum":  # without a name: what its constants begin with
        constants = re.findall(r"^\s*([A-Z]\w+)", bare, re.M)
        return kind, os.path.commonprefix(constants) + "..." if len(constants) > 1 else constants[0]
    return "object", re.search(r"(\w+)(?:\[[^]]*\])?\s*;", bare)[1]


def shown(code):
    """A declaration as a reader needs it: without the marks, and its later lines as far to the left as the first."""
    code = re.sub(r"\s+KF_PRINTF\([^)]*\)", "", code).strip()
    if not code.startswith("KF_API "):
        return code
    return re.sub(r"^ {7}", "", code[7:], flags=re.M)


def parameters(text):
    """What is between commas, those inside brackets left out."""
    parts, depth, at = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "([{") - (c in ")]}")
        if c == "," and depth == 0:
            parts.append(text[at:i].strip())
            at = i + 1
    return parts + [text[at:].strip()]


def narrow_function(code, width):
    """A function or a callback, with a line for each parameter where it is long."""
    code = " ".join(code.split())
    callback = re.match(r"typedef [^(]*\(\*\w+\)", code)
    begin = code.index("(", callback.end() if callback else 0)
    end = code.rindex(")")
    if len(code) <= width:
        return code
    return code[: begin + 1] + "\n    " + ",\n    ".join(parameters(code[begin + 1 : end])) + "\n" + code[end:]


def members(code):
    """(indent, member, comment) of the lines of a structure or an enumeration; either text may be empty."""
    lines, at, held = code.split("\n"), 0, ""
    while at < len(lines):
        line, at = lines[at], at + 1
        while "/*" in line and "*/" not in line:
            line, at = line + " " + lines[at].strip().lstrip("* "), at + 1
        member, _, comment = line.partition("/*")
        comment = " ".join(comment.strip("*/< ").split())
        indent = re.match(r" *", held or member)[0]
        member = (held + " " + member.strip() if held else member).rstrip()
        ends = re.search(r"[;,{}]$", member) or (at < len(lines) and lines[at].startswith("}"))
        held = "" if comment or ends or not member.strip() else member
        if not held:
            yield indent, member, comment


def narrow(code, width):
    """A declaration without marks of comments, its lines at most `width` long where that is possible: a comment that
    does not fit goes above its member, a long function has a line for each parameter."""
    if code.startswith("#"):
        return re.sub(r" +\\$", r" \\", re.sub(r"/\*\*<?", "/*", code), flags=re.M)
    if "{" not in code:
        return "\n".join(narrow_function(c, width) if "(" in c else c for c in re.findall(r"[^;]+;", code))
    if "\n" not in code and len(code) > width:
        head, body, tail = re.fullmatch(r"(.*?\{)(.*)(\}.*)", code).groups()
        code = "\n".join([head] + [f"    {m}," for m in parameters(body)] + [tail]).replace(",\n}", "\n}")
    out = []
    for indent, member, comment in members(code):
        whole = f"{member} /* {comment} */"
        if comment and (len(whole) > width or not member.strip()):
            text = f"/* {comment}\u00a0*/"  # the end stays with the last word
            out += textwrap.wrap(
                text, width, initial_indent=indent, subsequent_indent=indent + "   ", break_long_words=False
            )
            out += [member] if member.strip() else []
        else:
            out.append(whole if comment else member)
    return "\n".join(out).replace("\u00a0", " ")


def read(path):
    """{"role": text, "items": [{kind, name, code, doc}]} of a header."""
    with open(path) as f:
        text = f.read()
    role, items, doc, at = None, [], None, 0
    while at < len(text):
        blank = re.match(r"\s+", text[at:])
        if blank:
            doc = None if "\n\n" in blank[0] else doc
            at += blank.end()
            continue
        m = TOKENS.match(text, at)
        if m and m.lastgroup == "comment" and role is None:
            role = plain(m[0])
        elif m and m.lastgroup == "doc":
            doc = plain(m[0])
        elif m and m.lastgroup == "define" and not re.search(r"_H$|KF_API|KF_PRINTF", m[0].split()[1].split("(")[0]):
            items.append({"kind": "macro", "name": name_of(m[0])[1], "code": m[0], "doc": doc or ""})
        elif not m:
            end = declaration(text, at)
            kind, name = name_of(text[at:end])
            behind = re.search(r";[ \t]*(/\*\*<.*?\*/)$", text[at:end], re.S)
            alone = "{" not in text[at:end] and behind
            code = text[at : at + behind.start() + 1] if alone else text[at:end]
            items.append(
                {"kind": kind, "name": name, "code": shown(code), "doc": plain(behind[1]) if alone else doc or ""}
            )
            at = end
            continue
        at = m.end()
    return {"role": role, "items": items}


def join_shared(items):
    """Neighbours without a text of their own, after one with a text, are one entry: (names, code, doc, kind)."""
    out = []
    for item in items:
        if out and not item["doc"] and item["kind"] == out[-1]["kind"] == "function":
            out[-1]["names"].append(item["name"])
            out[-1]["code"] += "\n" + item["code"]
        else:
            out.append({"names": [item["name"]], "code": item["code"], "doc": item["doc"], "kind": item["kind"]})
    return out


# Which library has what a header declares.
LIBRARIES = {
    "libkitfox": ("kitfox.h", "image.h", "preprocess.h", "types.h", "status.h"),
    "libkitfoxc": ("compile.h", "graph_types.h", "quantize_types.h"),
    "libkitfoximg": ("codec.h",),
    "libkitfoxlab": ("lab.h", "batch.h", "bench.h", "pull.h"),
}


def folder(root):
    return os.path.join(root, "include", "kitfox")
