#!/usr/bin/env python3
"""The documentation site from docs/, README.md, man/, the public headers and the Python package.

Usage: make_site.py OUT, with a Python that has mkdocs-material (tools/site.sh finds or makes one). Links into the tree
that no page answers become links to copies of the files, so that the site is whole without the tree.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(ROOT, "tools"), HERE]
import pages  # noqa: E402
from manuals import headers  # noqa: E402

TOP = {n: "index.md" if n == "README.md" else n for n in sorted(os.listdir(ROOT)) if n.endswith(".md")}
# Folders that have a page of their own.
FOLDERS = {"include/kitfox": "c-api/index.md", "examples": "examples.md", "docs": "index.md"}


class Gathering:
    """The folder from which mkdocs builds."""

    def __init__(self, folder):
        self.folder, self.copied = folder, set()

    def write(self, name, text):
        place = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "w", encoding="utf-8") as f:
            f.write(text)

    def copy(self, path):
        """A file of the tree: its place in the site."""
        place = "files/" + path
        if path not in self.copied:
            os.makedirs(os.path.dirname(os.path.join(self.folder, place)), exist_ok=True)
            shutil.copyfile(os.path.join(ROOT, path), os.path.join(self.folder, place))
            self.copied.add(path)
        return place


def page_of(path):
    """The page that a file of the tree becomes, or None."""
    if path in TOP:
        return TOP[path]
    if path in FOLDERS:
        return FOLDERS[path]
    return path[len("docs/") :] if re.fullmatch(r"docs/[\w/-]+\.md", path) else None


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def gather_page(site, path):
    """A Markdown file of the tree with its links as the site has them."""
    name = page_of(path)
    up = os.path.dirname(name)

    def place(target):
        """`target`, a path of the tree, from this page."""
        found = page_of(target)
        if not found and os.path.isfile(os.path.join(ROOT, target)):
            found = target[len("docs/") :] if re.fullmatch(r"docs/[\w/-]+\.png", target) else site.copy(target)
        return os.path.relpath(found, up or ".") if found else None

    def link(m):
        target, _, fragment = m[2].partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return m[0]
        inside = os.path.normpath(os.path.join(os.path.dirname(path), target))
        found = place(inside)
        if not found and os.path.isdir(os.path.join(ROOT, inside)):
            return m[1].lstrip("!")[1:-1]  # a folder without a page: its name stays
        if not found:
            raise ValueError(f"{path}: {target}: the tree has no such file")
        return f"{m[1]}({found}{'#' + fragment if fragment else ''})"

    def mention(m):
        """`docs/X.md` in words is a link too."""
        found = place(m[1]) if os.path.isfile(os.path.join(ROOT, m[1])) else None
        return f"[{m[0]}]({found})" if found and found != os.path.basename(name) else m[0]

    out, code = [], False
    for line in read(path).split("\n"):
        if line.lstrip().startswith("```"):
            code = not code
        elif not code:
            line = re.sub(r"(!?\[[^\]]*\])\(([^)\s]+)\)", link, line)
            line = re.sub(r"(?<!\[)`(docs/[\w/-]+\.md)`", mention, line)
        out.append(line)
    site.write(name, lists_apart("\n".join(out)))


def lists_apart(text):
    """Python-Markdown wants an empty line before a list, and four spaces for what belongs to an item."""
    out, code = [], False
    for line in text.split("\n"):
        if line.lstrip().startswith("```"):
            code = not code
        item = re.match(r"(?:[-*]|\d+\.) ", line)
        before = out[-1] if out else ""
        if not code and item and before.strip() and not re.match(r"(?:[-*]|\d+\.) |\s", before) and not in_list(out):
            out.append("")
        if not code and re.match(r" {2,3}\S", line) and in_list(out):
            line = "    " + line.lstrip()
        out.append(line)
    return "\n".join(out)


def in_list(lines):
    """Is the paragraph that ends here an item?"""
    for line in reversed(lines):
        if not line.strip():
            return False
        if re.match(r"(?:[-*]|\d+\.) ", line):
            return True
        if not line.startswith(" "):
            # The later lines of an item may begin at the margin; a paragraph of its own never follows a list directly.
            continue
    return False


def examples_page(site):
    out = [
        "# Examples",
        "",
        "Programs that use the libraries, each complete.",
        "",
        "| file | what it shows |",
        "|---|---|",
    ]
    for name in sorted(os.listdir(os.path.join(ROOT, "examples"))):
        path = f"examples/{name}"
        if not os.path.isfile(os.path.join(ROOT, path)) or name == "meson.build":
            continue
        first = re.search(r'/\*\s*(.*?)(?:\.\s|\*/)|^"""(.*?)(?:\.\s|""")', read(path)[:2000], re.S | re.M)
        if name.endswith(".ipynb"):
            first = re.search(r'"# ([^"\\]*)()', read(path))
        what = " ".join((first[1] or first[2]).replace("\n * ", " ").split()) if first else ""
        out.append(f"| [{name}]({site.copy(path)}) | {what.replace('|', chr(92) + '|').replace('<', '&lt;')} |")
    return "\n".join(out) + "\n"


def gather(folder):
    """All pages; returns the parts of the navigation that mkdocs.yml leaves open."""
    site = Gathering(os.path.join(folder, "pages"))
    docs = sorted(
        os.path.relpath(os.path.join(at, n), ROOT)
        for at, _, names in os.walk(os.path.join(ROOT, "docs"))
        for n in names
    )
    for path in [*TOP, *(p for p in docs if p.endswith(".md"))]:
        gather_page(site, path)
    for path in (p for p in docs if p.endswith((".png", ".json"))):
        shutil.copyfile(os.path.join(ROOT, path), os.path.join(site.folder, path[len("docs/") :]))
    shutil.copyfile(os.path.join(HERE, "site.css"), os.path.join(site.folder, "site.css"))
    site.write("examples.md", examples_page(site))
    site.write("python-api.md", pages.python_page(ROOT))
    places = pages.names_of(ROOT)
    index = ["# The C interface", "", "Every declaration of the public headers. [C](../C.md) says how to begin.", ""]
    api = ["c-api/index.md"]
    for library, group in headers.LIBRARIES.items():
        index += [f"## {library}", "", "| header | role |", "|---|---|"]
        for header in group:
            role = headers.read(os.path.join(headers.folder(ROOT), header))["role"].split("\n")[0]
            index.append(f"| [{header}]({header[:-2]}.md) | {role} |")
            site.write(f"c-api/{header[:-2]}.md", pages.c_page(ROOT, header, places))
            api.append({header: f"c-api/{header[:-2]}.md"})
        index.append("")
    index += ["## All names", "", ", ".join(f"[`{n}`]({p})" for n, p in sorted(places.items())), ""]
    site.write("c-api/index.md", "\n".join(index))
    names = sorted(n for n in os.listdir(os.path.join(ROOT, "man")) if n != "meson.build")
    listed = ["# Manual pages", "", "As `man` shows them.", "", "| page | |", "|---|---|"]
    for name in names:
        text = read(f"man/{name}")
        page = pages.manual(text, names)
        for path in (p for p in docs if p.endswith(".md")):
            page = page.replace(f"`{path}`", f"[`{path}`](../{page_of(path)})")
        site.write(f"man/{name}.md", page)
        stem, number = name.rsplit(".", 1)
        about = pages.text_of(" ".join(text.split(".SH NAME\n")[1].split("\n.SH")[0].split("\n"))).split(" - ", 1)[1]
        listed.append(f"| [{stem}({number})]({name}.md) | {about} |")
    site.write("man/index.md", "\n".join(listed) + "\n")
    manual = ["man/index.md"] + [{n.rsplit(".", 1)[0]: f"man/{n}.md"} for n in names]
    return api, manual, [page_of(p) for p in [*TOP, *docs] if p.endswith(".md")]


def navigation(text, api, manual, docs):
    """The table of mkdocs.yml with API, MANUAL and REST filled. REST are pages of docs/ that no entry names."""

    def block(entries, indent):
        return "".join(
            "\n" + " " * indent + "- " + (e if isinstance(e, str) else ": ".join(*e.items())) for e in entries
        )

    rest = [d for d in docs if d not in set(re.findall(r"[\w/-]+\.md", text))]
    text = text.replace(": API", ":" + block(api, 10)).replace(": MANUAL\n", ":" + block(manual, 10) + "\n")
    return text.replace("  - More: REST\n", "  - More:" + block(rest, 6) + "\n" if rest else "")


def all_declared(out):
    """Every function that a library exports has an entry on a page of the C interface."""
    found = set()
    for name in os.listdir(os.path.join(out, "c-api")):
        found |= set(re.findall(r'<h3 id="[^"]*">(.*?)<a', read(os.path.join(out, "c-api", name)), re.S))
    names = {n for heading in found for n in heading.split(", ")}
    exported = set(re.findall(r"(?<!private )\bkf_[a-z]\w*(?=;)", read("src/libkitfox.map")))
    if not exported or exported - names:
        sys.exit(f"not on a page of the C interface: {sorted(exported - names)}")
    print(f"{len(exported)} exported functions are on the pages of the C interface")


def own_worker(out):
    """The theme's search from disk loads a script from elsewhere; ours takes its place (worker.js)."""
    shutil.copyfile(os.path.join(HERE, "worker.js"), os.path.join(out, "assets", "worker.js"))
    for at, _, names in os.walk(out):
        for path in (os.path.join(at, n) for n in names if n.endswith(".html")):
            with open(path, encoding="utf-8") as f:
                text = f.read()
            place = os.path.relpath(os.path.join(out, "assets", "worker.js"), at)
            with open(path, "w", encoding="utf-8") as f:
                f.write(re.sub(r"https://unpkg\.com/iframe-worker/shim", place, text))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        parts = gather(folder)
        with open(os.path.join(HERE, "mkdocs.yml"), encoding="utf-8") as f:
            config = navigation(f.read(), *parts)
        with open(os.path.join(folder, "mkdocs.yml"), "w", encoding="utf-8") as f:
            f.write(config)
        env = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", "0")}
        subprocess.run(
            [
                sys.executable,
                "-m",
                "mkdocs",
                "build",
                "--strict",
                "--quiet",
                "-f",
                os.path.join(folder, "mkdocs.yml"),
                "-d",
                out,
            ],
            check=True,
            env=env,
        )
    own_worker(out)
    for name in ("sitemap.xml", "sitemap.xml.gz"):  # for a site at an address
        if os.path.exists(os.path.join(out, name)):
            os.remove(os.path.join(out, name))
    subprocess.run([sys.executable, os.path.join(HERE, "check_site.py"), out], check=True)
    all_declared(out)
    print(f"{out}/index.html")


if __name__ == "__main__":
    main()
