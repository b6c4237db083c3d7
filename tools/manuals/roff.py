"""Markdown of docs/ as text of a manual page (man(7)): paragraphs, lists, code, tables, links, and what they contain.

Only macros that groff and mandoc both have are used. Every character beyond ASCII becomes an escape, so that the page
is read the same without a preprocessor.
"""

import re
import textwrap

CODE = 68  # columns of code, which is indented
INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]*)\]\(([^)\s]+)\)|<(https?://[^>]+)>")


def escape(text, code=False):
    """Text without meaning to the formatter. In code a dash and the quotes are those of ASCII."""
    out = []
    for c in text:
        if c == "\\":
            out.append("\\e")
        elif ord(c) > 126:
            out.append(f"\\[u{ord(c):04X}]")
        elif c == "~":
            out.append("\\(ti")
        elif c == "^":
            out.append("\\(ha")
        elif code and c in "-'`":
            out.append({"-": "\\-", "'": "\\(aq", "`": "\\(ga"}[c])
        else:
            out.append(c)
    return "".join(out)


def options_in(text):
    """Prose in which options are written without marks: their dashes are those that a shell wants."""
    return re.sub(r"(?<![\w-])--?(?=[A-Za-z])[\w-]*", lambda m: escape(m[0], code=True), escape(text))


def bold(text):
    return "\\fB" + escape(text, code=True) + "\\fR"


def inline(text, link=lambda label, target: label):
    """A paragraph. `link` gives the words for a link, as Markdown."""
    out, at = [], 0
    for m in INLINE.finditer(text):
        out.append(options_in(text[at : m.start()]))
        if m[1]:
            out.append(bold(m[1]))
        elif m[2]:
            out.append("\\fB" + re.sub(r"\\f[BR]", "", inline(m[2], link)) + "\\fR")
        elif m[4]:
            out.append(inline(link(m[3], m[4]), link) if "(" not in m[3] else escape(m[3]))
        else:
            out.append(escape(m[5], code=True).replace("/", "/\\:"))  # where a line may break
        at = m.end()
    out.append(options_in(text[at:]))
    return "".join(out)


def lines_of(text):
    """Lines of a paragraph: a sentence each, and none that begins like a request."""
    sentences = re.split(r"(?<=[a-z0-9)\]R][.:;?]) +(?=[A-Z\\])", " ".join(text.split()))
    lines = [line for s in sentences for line in textwrap.wrap(s, 78, break_long_words=False, break_on_hyphens=False)]
    return [("\\&" if s[:1] in ".'" else "") + s for s in lines]


def paragraph(text, link=lambda label, target: label):
    return lines_of(inline(text, link))


def folded(line):
    """A long line of a terminal between its words: a command with a backslash, a sentence as it is. Tables stay."""
    if len(line) <= CODE or (not line.startswith("$ ") and "  " in line.strip()):
        return [line]
    mark = " \\" if line.startswith("$ ") else ""
    later = "    " if mark else ""
    line = re.sub(r"( --?[\w-]+) (?=[^-| ])", "\\1\u00a0", line) if mark else line  # a value stays with its option
    parts = textwrap.wrap(line, CODE - 2, subsequent_indent=later, break_long_words=False, break_on_hyphens=False)
    return [part.replace("\u00a0", " ") + mark for part in parts[:-1]] + [parts[-1].replace("\u00a0", " ")]


def code(lines):
    """Lines as they are, in a block of their own."""
    out = [".PP", ".RS 4", ".nf"]
    session = lines[:1] and lines[0].startswith("$ ")
    for line in (part for whole in lines for part in (folded(whole) if session else [whole])):
        out.append(("\\&" if line[:1] in ".'" else "") + escape(line, code=True))
    return out + [".fi", ".RE"]


def blocks(markdown):
    """(kind, value) of each block: text, code, item, table, or a heading ("h2", "h3")."""
    lines, at = markdown.split("\n"), 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
        elif line.startswith("```"):
            end = next(i for i in range(at + 1, len(lines)) if lines[i].startswith("```"))
            yield "code", lines[at + 1 : end]
            at = end + 1
        elif re.match(r"#+ ", line):
            yield f"h{len(line.split()[0])}", line.lstrip("# ")
            at += 1
        elif line.startswith("|"):
            end = at
            while end < len(lines) and lines[end].startswith("|"):
                end += 1
            rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip()[1:-1])] for row in lines[at:end]]
            yield "table", [rows[0]] + rows[2:]
            at = end
        else:
            item = re.match(r"(?:[-*]|\d+\.) ", line)
            end = at + 1
            while end < len(lines) and lines[end].strip() and not re.match(r"(?:[-*]|\d+\.) |```|#+ |\|", lines[end]):
                end += 1
            yield "item" if item else "text", " ".join(x.strip() for x in lines[at:end])[item.end() if item else 0 :]
            at = end


def table(rows, link):
    """Rows as tagged paragraphs: the first cell is the tag, the others follow with the names of their columns."""
    out, heads = [], rows[0]
    for row in rows[1:]:
        cells = [c.replace("\\|", "|") for c in row]
        rest = [c if len(cells) == 2 else f"{h}: {c}" for h, c in zip(heads[1:], cells[1:]) if c]
        out += [".TP", inline(cells[0], link) or "\\&"] + (lines_of(inline("; ".join(rest), link)) or ["\\&"])
    return out


def page(markdown, link=lambda label, target: label):
    """The blocks of `markdown` (text, or what blocks() gave); headings become sections (h2) and subsections (h3)."""
    out, before = [], None
    for kind, value in blocks(markdown) if isinstance(markdown, str) else markdown:
        if kind == "h2":
            out.append(".SH " + quoted(value.upper()))
        elif kind[0] == "h" and kind != "h1":
            out.append(".SS " + quoted(value))
        elif kind == "code":
            out += code(value)
        elif kind == "table":
            out += table(value, link)
        elif kind == "item":
            out += [".IP \\(bu 2"] + paragraph(value, link)
        elif kind == "text":
            out += ([] if before in ("h2", "h3", "h4") else [".PP"]) + paragraph(value, link)
        before = kind
    return out


def quoted(text):
    return '"' + escape(text.replace("`", ""), code=True).replace('"', "\\(dq") + '"'


def title(name, section, date, version):
    return [
        '.\\" Made by tools/make_manuals.py. Change the source that it reads, not this page.',
        f'.TH {escape(name.upper(), code=True)} {section} {date} "KitFox {version}" "KitFox manual"',
        ".ad l",
        ".nh",
    ]


def section(name, lines):
    """A section, or nothing for no lines. A paragraph mark cannot follow its heading."""
    while lines and lines[0] == ".PP":
        lines = lines[1:]
    return [f".SH {name}"] + lines if lines else []
