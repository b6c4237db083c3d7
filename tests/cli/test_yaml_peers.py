#!/usr/bin/env python3
"""The YAML reader beside PyYAML's own parser, which is written in Python: structure, texts, types, values and places.

Argument: the program yaml_dump. Documents: the fuzz corpus, generated ones in every style, changed ones, and thousands
of scalars. PyYAML is needed, here or in the interpreter of KITFOX_PEERS; without it the test is skipped.
"""
import datetime
import glob
import json
import math
import os
import random
import re
import subprocess
import sys

from kit import KITFOX, PEERS, ROOT, SHARED, case, check, once, peers_have, run_cases

try:
    import yaml
except ImportError:
    if os.environ.get("KITFOX_AGAIN") or not peers_have("yaml"):
        print("SKIP: PyYAML is missing, here and in the interpreter of KITFOX_PEERS")
        sys.exit(77)
    sys.exit(subprocess.run([PEERS, *sys.argv], env={**os.environ, "KITFOX_AGAIN": "1"}).returncode)

DEPTH = 16
# Numbers to whoever wrote them, texts to PyYAML: an exponent without dot or sign, a sign before a dot.
WIDER = re.compile(r"[-+]?(\d[\d_]*(\.[\d_]*)?|\.\d[\d_]*)[eE][-+]?\d+|[-+]\.\d[\d_]*")


def ours(texts):
    data = b"".join(b"%d\n%s" % (len(t), t) for t in texts)
    p = subprocess.run([KITFOX], input=data, capture_output=True, timeout=600)
    assert p.returncode == 0, p.stderr.decode()[-2000:]
    return [json.loads(line) for line in p.stdout.splitlines()]


def refused(data):
    """What the reader has to refuse although PyYAML reads it: words of messages."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return ["UTF-16"]
    depth, documents, keys, why = 0, 0, [], []
    for e in list(yaml.parse(data, Loader=yaml.SafeLoader)):
        node = isinstance(e, yaml.NodeEvent)
        scalar = isinstance(e, yaml.ScalarEvent)
        if isinstance(e, yaml.DocumentStartEvent):
            documents += 1
            why += ["a directive"] * bool(e.version or e.tags) + ["a second document"] * (documents > 1)
        alias = isinstance(e, yaml.AliasEvent)
        why += ["an alias"] * alias
        why += ["a tag"] * bool(node and not alias and e.tag or scalar and e.style and e.implicit[0])
        why += ["an anchor"] * bool(node and not alias and e.anchor)
        why += ["a zero character"] * (scalar and "\0" in e.value)
        if node and keys and keys[-1] is not None:
            seen, key = keys[-1]
            if key:
                why += ["a key must be a word"] * (not scalar)
                why += ["a merge key"] * (scalar and e.value == "<<" and not e.style)
                why += ["is given twice"] * (scalar and e.value in seen)
                seen.add(e.value if scalar else None)
            keys[-1] = seen, not key
        if isinstance(e, yaml.CollectionStartEvent):
            depth += 1
            why += [f"nested {depth} levels"] * (depth > DEPTH)
            keys.append((set(), True) if isinstance(e, yaml.MappingStartEvent) else None)
        if isinstance(e, yaml.CollectionEndEvent):
            depth -= 1
            keys.pop()
    return why + ["the file is empty"] * (not documents)


def parsers_differ(data, read):
    """libyaml takes tabs between words and "?" in flow words, which PyYAML's parser does not, and refuses ":" before
    "}" and directives without a meaning. Then its binding has to say the same."""
    if not read and re.search(rb"^(\xef\xbb\xbf)?%", data, re.M):
        return True
    try:
        yaml.compose(data, Loader=yaml.CSafeLoader)
        return read and re.search(rb"\t|[\[{][^\n]*\?", data)
    except (yaml.YAMLError, UnicodeDecodeError):
        return not read and re.search(rb":[]}[{,]", data)


def place(mark):
    return [mark.line + 1, mark.column + 1]


def same_scalar(mine, node, loader):
    if mine["text"] != node.value:
        return "text"
    kind = {"null": "null", "bool": "bool", "int": "int", "float": "float"}.get(node.tag.rsplit(":", 1)[1], "text")
    if kind == "text":
        return None if mine["type"] == "text" or mine["type"] == "float" and WIDER.fullmatch(node.value) else "type"
    try:
        value = loader.construct_object(node)
    except ValueError:  # 0b_ is a number without a digit
        return None if mine["type"] == "text" else "type of no number"
    if mine["type"] != kind:
        return "type"
    if kind in ("null", "bool"):
        return None if value is None or value == mine["value"] else "value"
    try:
        value = float(value)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        return None if mine["value"] is None else "value"
    near = 1e-14 if ":" in node.value else 4e-16
    return None if mine["value"] is not None and math.isclose(mine["value"], value, rel_tol=near) else "value"


def same(mine, node, loader, path="root"):
    """What differs, or None. An empty value has no place of its own."""
    if isinstance(node, yaml.ScalarNode):
        what = same_scalar(mine, node, loader) if "text" in mine else "kind"
        if not what and (node.value or node.style) and mine["at"] != place(node.start_mark):
            what = f"place, not {place(node.start_mark)}"
        return what and f"{path}: {what} of {mine}"
    items = mine.get("mapping" if isinstance(node, yaml.MappingNode) else "list")
    if items is None or len(items) != len(node.value):
        return f"{path}: kind or number of items"
    if mine["at"] != place(node.start_mark):
        return f"{path}: place {mine['at']}, not {place(node.start_mark)}"
    for i, (item, theirs) in enumerate(zip(items, node.value)):
        key, value = theirs if isinstance(node, yaml.MappingNode) else (None, theirs)
        if item[0] != (key.value if key else str(i)):
            return f"{path}: key {item[0]!r}, not {key.value if key else i!r}"
        if key and (key.value or key.style) and item[1] != place(key.start_mark):
            return f"{path}: key {item[0]!r} at {item[1]}, not {place(key.start_mark)}"
        what = same(item[2], value, loader, f"{path}.{item[0]}")
        if what:
            return what
    return None


def compare(name, texts, least):
    """`least`: how many documents must have been read by both, so that the comparison means something."""
    read, told, other, bad = 0, 0, 0, []
    for data, mine in zip(texts, ours(texts)):
        try:
            why, theirs = refused(data), True
            node = None if why else yaml.compose(data, Loader=yaml.SafeLoader)
        except (yaml.YAMLError, UnicodeDecodeError) as e:
            why, theirs, node = str(e), False, None
        if (node is None) != ("error" in mine) and parsers_differ(data, node is None):
            other += 1
            continue
        if node is not None:
            loader = yaml.SafeLoader("")
            what = same(mine, node, loader) if "error" not in mine else mine["error"]
            if not what and mine["nodes"] < 1:
                what = "number of nodes"
            read += 1
        elif "error" not in mine:
            what = f"read, but {why}"
        else:
            told += 1
            right = not theirs or any(w in mine["error"] for w in why) or parsers_differ(data, False)
            what = None if right and re.match(r"c\.yaml:\d+:\d+: ", mine["error"]) else f"{mine['error']} / {why}"
        if what:
            bad.append((what, data[:300]))
    what = f"{name}: {read} read by both, {told} refused by both, {other} where PyYAML and libyaml differ"
    check(what, not bad and other * 20 <= len(texts) and read >= least, (len(bad), read, bad[:4]))


# ---- documents ----

WORDS = [
    "a", "ON", "InputType", "/blocks/blocks.0/conv/Conv", "x y", "été", "日本", "\U0001f98a", "it's", "a: b", "a #b",
    "- a", "null", "~", "True", "no", "1", "1.5", "010", "0x1f", "1e-5", "2026-11-29", "2026-11-29 12:00:00", "=",
    "<", "@a", "`", "%", "!x", "&a", "*a", "[", "{", "?", ":", "-", "a\nb", "a\n\n b\n", "\ttab", " lead", "trail ",
    "", "'", '"', "\\", "a,b", "123.675 116.28 103.53", "a\x85b", "\u2028", "\x07", "a" * 90, "word " * 30, "C:\\x",
    "http://x/y#z", "a:b", "12:30", "-.inf", ".NaN", "é" * 40,
]


def tree(r, depth=0):
    kind = r.random()
    if depth > 3 or kind < 0.4:
        date, number = datetime.date(2026, 1, r.randint(1, 28)), r.random() * 10 ** r.randint(-9, 9)
        word, whole = r.choice(WORDS), r.randint(-99999, 99999)
        return r.choice([word, word, whole, number, True, False, None, date, ""])
    n = r.choice([0, 1, 2, 3, 5])
    if kind < 0.6:
        return [tree(r, depth + 1) for _ in range(n)]
    return {r.choice(WORDS) + str(i): tree(r, depth + 1) for i in range(n)}


class Plain(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


def dumped(r):
    style = dict(
        default_flow_style=r.choice([True, False, None]),
        default_style=r.choice([None, None, None, "'", '"', "|", ">"]),
        allow_unicode=r.random() < 0.5,
        width=r.choice([20, 80, 1000]),
        indent=r.choice([2, 3, 8]),
        explicit_start=r.random() < 0.2,
        explicit_end=r.random() < 0.1,
        line_break=r.choice(["\n", "\r\n", "\r"]),
    )
    text = yaml.dump({"k": tree(r), "l": tree(r)}, Dumper=Plain, **style)
    text = re.sub("!!(float|int|null|bool|timestamp) ", "", text)
    return (b"\xef\xbb\xbf" if r.random() < 0.1 else b"") + text.encode()


# Written by hand, where yaml.dump never writes so.
VALUES = [
    "a", "'it''s'", '"a\\tb\\x41\\u263a"', '"a\\\n    b"', "'a\n    b\n\n    c'", "a\n    b", "|\n    a\n     b\n",
    "|-\n    a\n\n", ">+\n    a\n    b\n\n", "|2\n     a\n", "{a: 1, b: [x, y], }", "{a, b: c}", "[a: b, c]",
    "[\n    a,\n    'b'\n  ]", "{ }", "[]", "{a: 'ON', \"b\": int16,}", "", "~", "# only a comment", "a # behind",
    "a#b", "a:b", "::a", "-a", "-1", "{a: {b: {c: d}}}", "&x a", "!!str a", "! 12", "! '12'", "*x", "{<<: {a: b}}",
    "{a: b, a: c}", "{? a : b}", "{[a]: b}", "'a' b", "\"\\q\"", "\"\\0\"", "a: b", "[a", "a]", "{a: b", "@a", "%a",
    "\ta", "a\t", "- a", "\n    - a\n    - b", "\n  - a\n  - - b\n    - c",
    "\n    x: 1\n    y:\n      - z: 2\n        w: 3", "\n    ? p\n    : q", "\n    <<: 1", "\n    ? [p]\n    : q",
    "\n    ? |\n      p\n    : q", "http://a/b?c=d&e", "[a, [b, [c, [d]]]]", "{'a':b}", "{\"a\":1}", "[a,b , c]",
    "? a", "\"a\n    b \\\n    c\"", "\u00a0x", "x\u0085y", "\ufeffx", "|\n   a\n  b\n", "12e03", "[:a]", "{a:1}",
    "[a?b]", "{a:}", "[-, a]", "- ", "<<",
]
FRAMES = [
    "k: {}\n", "# c\n---\nk: {}\n...\n", "k: {}\nl: 1\n", "l: 1\n\nk:   {}   # c\n", "g:\n  k: {}\n  l: [1]\n",
    "- {}\n- 2\n", "k: {}", "'q': {}\n\"r\": 3\n", "k: {}\r\nl: 2\r\n", "%YAML 1.1\n---\nk: {}\n",
    "k: {}\n---\nl: 2\n", "k: {}\nk: 2\n",
]
WHOLE = [
    "", "\n", "# c\n", "---\n", "---\n---\n", "a", "'a'", "[a]", "{}", "...\n", "a\nb\n", "? a\n", "? a\n: b\n? c\n",
    "[" * 16 + "]" * 16, "[" * 17 + "]" * 17, "- " * 16 + "a", "- " * 17 + "a", "a: b: c", "\t", " a: 1\nb: 2\n",
    "a:\n - b\n  - c\n", "a: 1\n  b: 2\n", "%FOO a\n---\na: b\n", "%YAML 2.0\n---\na\n", "a: |\n%b\n", "a: 'b\n%c'\n",
    "a: b\x00\n", "\x07", "a\ud7ff", "a: \u2028 b\n", "x" * 2000 + ": 1\n", "? " + "x" * 2000 + "\n: 1\n",
    "a: " + "b " * 3000 + "\n", "!<a> b", "&a\n", "a:\r  b\r", "a:\n  b\n  c: d\n", "a: &b\n  c: *b\n", "-\n-\n- a\n",
    "- a: 1\n  b: 2\n-\n  c: 3\n",
]


def changed(r, data):
    data = bytearray(data)
    for _ in range(r.choice([1, 1, 2, 4])):
        at = r.randrange(len(data) + 1)
        step = r.random()
        if step < 0.4:
            data[at:at] = r.choice([
                b" ", b"\n", b":", b"- ", b"'", b'"', b"#", b" #", b"{", b"}", b"[", b"]", b",", b"\t", b"?", b"|",
                b">", b"%", b"&", b"*", b"!", b"\r", b"0", b"\xc3", b"\xe2\x80\xa8", b"\\", b"---\n", b"<<",
            ])
        elif step < 0.7:
            del data[at:at + r.choice([1, 1, 2, 8])]
        elif step < 0.9 and data:
            data[at % len(data)] = r.choice(b" \n:-'\"#{}[],\tx0")
        else:
            data[at:at] = data[at:at + r.randint(1, 40)]
    return bytes(data)


def scalars(r):
    fixed = [
        "0", "-0", "+0", "00", "0_", "08", "09.5", "0b", "0b1", "0b_1", "0b2", "-0b11", "0x", "0xG", "0xfF", "-0x_f",
        "0X1", "0o7", "1_000", "1__", "_1", "1:30", "1:60", "01:30", "1:3:4", "-1:30", "1:30.5", "0:0.5", "1:", ":1",
        "1.", "1.5", ".5", "-.5", "+.5e1", "1._5", "1_0.5_", "._5", "1e5", "1e+5", "1.e5", "1.e+5", "1.5E-3", "1.5e3",
        "1e", "1e+", "e5", ".", "..", "-", "+", ".inf", "-.Inf", "+.INF", ".iNF", ".nan", "-.nan", ".NaN", ".NAN",
        "inf", "nan", "infinity", "y", "n", "yes", "Yes", "YES", "yES", "on", "Off", "OFF", "oFF", "TRUE", "true",
        "tRUE", "null", "Null", "NULL", "nULL", "~", "~~", "=", "2026-11-29", "2026-11-29T12:00:00Z",
        "12345678901234567890", "9007199254740993", "1" * 400, "0.1", "1.7976931348623157e+308", "1e400", "1.0e+400",
        "5e-324", "0.30000000000000004", "123456789.123456789", "1-2", "1.2.3", "12a", "0x1.8", "0x1p3",
        "1_2_3.4_5e+1", "190:20:30.15", "685_230.15", "0b1010_0111", "02472256", "0x_0A_74_AE",
    ]
    made = ["".join(r.choice("0123456789_.:+-eExb7fA") for _ in range(r.randint(1, 7))) for _ in range(2500)]
    made += [r.choice("+-.0123456789") + "".join(r.choices("0011234567_.:e", k=r.randint(0, 6))) for _ in range(1500)]
    plain = [s for s in fixed + made if not re.search(r":$", s) and s not in ("-", "---", "...") and s[0] != ":"]
    return [("".join(f"- {s}\n" for s in plain[i:i + 100])).encode() for i in range(0, len(plain), 100)]


@once
def corpus(_):
    files = sorted(glob.glob(os.path.join(ROOT, "tests", "fuzz", "corpus", "yaml", "*.yaml")))
    texts = []
    for path in files + [os.path.join(SHARED, "data", "MobileNetV3_config.yaml")]:
        if os.path.exists(path):
            with open(path, "rb") as f:
                texts.append(f.read())
    return texts


@once
def of_pyyaml(_):
    r = random.Random("dumped")
    return [dumped(r) for _ in range(250)]


HAND = [f.replace("{}", v, 1).encode() for f in FRAMES for v in VALUES] + [w.encode() for w in WHOLE]


@case
def files():
    compare("the corpus", corpus(), 10)


@case
def thousands_of_scalars():
    compare("scalars", scalars(random.Random("scalars")), 38)


@case
def written_by_pyyaml():
    compare("dumped by PyYAML", of_pyyaml(), 200)


@case
def written_by_hand():
    compare("written by hand", HAND, 300)


@case
def changed_by_chance():
    r, small = random.Random("changed"), [d for d in of_pyyaml() + HAND + corpus() if len(d) < 600]
    compare("changed", [changed(r, r.choice(small)) for _ in range(500)], 80)


sys.exit(run_cases())
