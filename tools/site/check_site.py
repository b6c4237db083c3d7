#!/usr/bin/env python3
"""Every link of a site that points into it, and every anchor, is there; nothing is loaded from elsewhere.

Argument: the folder of the site.
"""

import os
import re
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

LOADS = {("img", "src"), ("script", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("video", "src")}


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads, self.title = set(), [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids |= {attrs[k] for k in ("id", "name") if attrs.get(k)}
        for key in ("href", "src"):
            if attrs.get(key) is None:
                continue
            # Of the links in a head only what is fetched to show the page counts.
            fetched = tag != "link" or attrs.get("rel") in ("stylesheet", "icon", "preload", "prefetch")
            (self.loads if (tag, key) in LOADS and fetched else self.links).append(attrs[key])


def main():
    root = os.path.abspath(sys.argv[1])
    pages, bad, n = {}, [], 0
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith(".html"):
                with open(path, encoding="utf-8") as f:
                    pages[path] = Page(f.read())
            elif name.endswith(".css"):
                with open(path, encoding="utf-8") as f:
                    bad += [
                        f"{name}: loads {u}" for u in re.findall(r"url\(\s*[\"']?((?:https?:)?//[^)\"']+)", f.read())
                    ]
    for path, page in pages.items():
        if os.path.basename(path) == "404.html":
            continue
        here = os.path.relpath(path, root)
        bad += [f"{here}: loads {u}" for u in page.loads if re.match(r"(?:https?:)?//", u)]
        for link in page.links + page.loads:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            n += 1
            target = os.path.normpath(os.path.join(os.path.dirname(path), unquote(url.path))) if url.path else path
            if os.path.isdir(target):
                target = os.path.join(target, "index.html")
            if not os.path.exists(target):
                bad.append(f"{here}: {link}: there is no such file")
            elif url.fragment and target in pages and unquote(url.fragment) not in pages[target].ids:
                if not url.fragment.startswith("__"):  # of the theme's own switches
                    bad.append(f"{here}: {link}: there is no such anchor")
    for line in sorted(set(bad)):
        print("FAIL  " + line)
    print(f"{len(pages)} pages, {n} links into the site, {len(set(bad))} wrong")
    sys.exit(bool(bad) or len(pages) < 2)


if __name__ == "__main__":
    main()
