"""The page of the server in a real browser, without a window: pictures by drop, paste, file and camera, keyboard, names for screen readers,
colours, a phone, tokens, and the examples of /docs run as they are shown.

usage: test_page.py PROGRAM [--pictures DIR]. It needs Debian's chromium and a Python with Playwright: KITFOX_BROWSER, or the one of
tools/browser.sh; without them it is skipped. --pictures: also writes what the page looks like as PNG files.
"""

import base64
import importlib.util
import os
import re
import shutil
import subprocess
import sys

CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
BROWSER = os.environ.get("KITFOX_BROWSER") or os.path.join(CACHE, "kitfox", "browser", "bin", "python")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if not importlib.util.find_spec("playwright"):
    if os.environ.get("KITFOX_AGAIN") or not os.path.exists(BROWSER):
        print("SKIP: Playwright is missing, here and in the interpreter of KITFOX_BROWSER")
        sys.exit(77)
    sys.exit(subprocess.run([BROWSER, *sys.argv], env={**os.environ, "KITFOX_AGAIN": "1"}).returncode)
if not CHROMIUM:
    print("SKIP: there is no chromium")
    sys.exit(77)

from playwright.sync_api import sync_playwright  # noqa: E402
from serve_kit import Server  # noqa: E402
from kit import EXAMPLES, ROOT, case, check, once, run, run_cases  # noqa: E402

LABELS = ["airplane", "automobile", "frog", "ship", "truck"]
PICTURES = os.path.abspath(sys.argv[sys.argv.index("--pictures") + 1]) if "--pictures" in sys.argv else None
TOKEN = "a-token-for-tests-0123456789"
WAIT = 60000  # milliseconds, on a busy machine
# Chromium starts processes of its own, which its sandbox does not let root do.
FLAGS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--host-resolver-rules=MAP kitfox.test 127.0.0.1",
]


@once
def models(folder):
    """The built-in network and its int8 form."""
    name = os.path.join(folder, "everyday10-int8.kfx")
    status, _, err = run("quantize", os.path.join(ROOT, "data", "everyday10.safetensors"), "-c", EXAMPLES, "-o", name)
    assert status == 0, err
    return ["everyday10", name]


class Page:
    """with Page(server) as p: a browser at the server's page; `errors` are those of its console, `urls` what it asked for."""

    def __init__(self, server, path="/", host="localhost", **context):
        self.url, self.context, self.errors, self.urls = f"http://{host}:{server.port}{path}", context, [], []

    def __enter__(self):
        self.playwright = sync_playwright().start()
        try:
            self.open()
        except Exception:
            self.playwright.stop()
            raise
        return self

    def open(self):
        self.browser = self.playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        self.page = self.browser.new_context(**self.context).new_page()
        self.page.set_default_timeout(WAIT)
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("request", lambda r: self.urls.append(r.url))
        self.page.goto(self.url)
        self.page.wait_for_load_state("networkidle")

    def __exit__(self, *_):
        self.browser.close()
        self.playwright.stop()

    def text(self, selector):
        return self.page.locator(selector).first.inner_text()

    def give(self, how, data, kind="image/jpeg"):
        """A file as a drop on the page, or pasted."""
        self.page.evaluate(
            """([how, data, kind]) => {
            const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0)), files = new DataTransfer();
            files.items.add(new File([bytes], "file", { type: kind }));
            if (how === "paste") document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: files, bubbles: true }));
            else for (const type of ["dragenter", "dragover", "drop"])
                document.getElementById("drop").dispatchEvent(new DragEvent(type, { dataTransfer: files, bubbles: true, cancelable: true }));
        }""",
            [how, base64.b64encode(data).decode(), kind],
        )

    def says(self, text):
        """Waits for the line of the status that a picture ends with."""
        self.page.locator("#status", has_text=text).wait_for()

    def fails(self, text):
        self.page.locator("#error", has_text=text).wait_for()

    def drop(self, label):
        self.give("drop", picture(label))
        self.says("The network says: " + label)


def picture(label):
    with open(os.path.join(EXAMPLES, label + ".jpg"), "rb") as f:
        return f.read()


@case
def a_dropped_picture_gets_its_label():
    with Server(*models()) as s, Page(s) as p:
        for label in LABELS:
            p.drop(label)
            best = p.page.locator("#answers ol li:first-child .name").all_inner_texts()
            check(f"{label}: float and int8 say so", best == [label, label], best)
            check(
                f"{label}: the two are compared",
                p.text("#difference").startswith(f"Both say {label}. The largest difference is "),
                p.text("#difference"),
            )
        check(
            "what the network sees is 64 x 64", p.page.evaluate("[view.naturalWidth, view.naturalHeight]") == [64, 64]
        )
        check(
            "five bars, the first as long as its probability",
            p.page.evaluate("""() => {
            const rows = [...document.querySelectorAll("#answers section:first-child li")];
            const value = parseFloat(rows[0].querySelectorAll("span")[1].textContent);
            return rows.length === 5 && Math.abs(parseFloat(rows[0].querySelector("i").style.width) - value) < 0.01;
        }"""),
        )
        rows = p.page.locator("#differences tbody tr").all_inner_texts()
        check(
            "a row for each class, with both numbers",
            len(rows) >= 5 and re.search(r"\d\.\d\d\s+(under )?\d+\.\d\d", rows[0]),
            rows,
        )
        check(
            "times are told",
            re.search(r"\d ms for the network, .*\d ms for reading", p.text("#answers .quiet")),
            p.text("#answers .quiet"),
        )
        check("no error and no warning in the console", not p.errors, p.errors)
        foreign = [u for u in p.urls if not u.startswith((p.url, "blob:" + p.url, "data:"))]
        check("nothing is asked of another machine", not foreign, foreign)


@case
def other_ways_in_and_bad_files(folder):
    with Server(*models()) as s, Page(s) as p:
        p.give("paste", picture("ship"))
        p.says("The network says: ship")
        check("a pasted picture", p.text("#answers .name") == "ship")
        p.page.set_input_files("#file", os.path.join(EXAMPLES, "truck.jpg"))
        p.says("The network says: truck")
        check("a chosen file", p.text("#answers .name") == "truck")
        p.page.select_option("#model", "everyday10-int8")
        p.says("The network says: truck")
        check("another model: the facts follow", "int8" in p.text("#card"), p.text("#card"))
        p.give("drop", b"text", "text/plain")
        p.fails("That is no picture.")
        check("no picture: it says so, and no request goes out", True)
        check("no error in the console so far", not p.errors, p.errors)
        p.give("drop", b"\xff\xd8 broken", "image/jpeg")
        p.page.locator("#error:not(:empty)").wait_for()
        check(
            "a broken picture: the server's reason",
            "JPEG" in p.text("#error") or "jpeg" in p.text("#error"),
            p.text("#error"),
        )
        p.drop("frog")
        check("the next one clears the error", p.text("#error") == "")


@case
def works_by_keyboard():
    with Server(*models()) as s, Page(s) as p:
        order = []
        for _ in range(7):
            p.page.keyboard.press("Tab")
            order.append(p.page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        check(
            "Tab visits everything in the order of the page",
            order[:5] == ["A", "file", "camera", "model", "profile"],
            order,
        )
        p.page.focus("#file")
        with p.page.expect_file_chooser() as chooser:
            p.page.keyboard.press("Space")
        chooser.value.set_files(os.path.join(EXAMPLES, "airplane.jpg"))
        p.says("The network says: airplane")
        outline = p.page.evaluate("getComputedStyle(document.querySelector('label[for=file]')).outlineStyle")
        check("a picture chosen without a mouse; the focus can be seen", outline == "solid", outline)
        p.page.focus("#profile")
        p.page.keyboard.press("Enter")
        p.page.locator("#steps li").first.wait_for()
        told, shown = int(p.text("#sum").split(" ")[0]), p.page.locator("#steps li").count()
        info = s.json("GET", "/profile/everyday10")[1]
        check("a bar for each step", told == shown == len(info["steps"]), (told, shown, len(info["steps"])))
        widths = p.page.evaluate("[...document.querySelectorAll('#steps i')].map(i => parseFloat(i.style.width))")
        check("the longest is 100 % wide", max(widths) == 100 and min(widths) >= 0, widths[:9])
        check("no error in the console", not p.errors, p.errors)


@case
def everything_has_a_name():
    with Server(*models()) as s, Page(s) as p:
        p.drop("frog")
        p.page.click("#camera")
        p.page.locator("#live:not([hidden])").wait_for()
        nodes = p.page.context.new_cdp_session(p.page).send("Accessibility.getFullAXTree")["nodes"]
        wanted = {"button", "link", "combobox", "textbox", "checkbox", "img", "image", "table", "Video", "navigation"}
        parts = [
            (n["role"]["value"], n.get("name", {}).get("value", ""))
            for n in nodes
            if not n.get("ignored") and "role" in n
        ]
        named = [part for part in parts if part[0] in wanted]
        nameless = [role for role, name in named if not name.strip()]
        check(f"{len(named)} controls, pictures and tables have names", len(named) >= 12 and not nameless, nameless)
        roles = [role for role, _ in parts]
        check(
            "one main part, an alert, a status",
            roles.count("main") == 1 and "alert" in roles and "status" in roles,
            sorted(set(roles)),
        )
        check(
            "a language and a title",
            p.page.evaluate("document.documentElement.lang") == "en" and p.page.title() == "KitFox",
        )
        doubles = p.page.evaluate(
            "[...document.querySelectorAll('[id]')].map(e => e.id).filter((id, i, all) => all.indexOf(id) !== i)"
        )
        check("no id twice", not doubles, doubles)


@case
def the_camera_where_there_is_one():
    with Server(*models()) as s:
        with Page(s) as p:
            p.page.click("#camera")
            p.page.locator("#live:not([hidden])").wait_for()
            p.page.click("#shot")
            p.says("The network says: ")
            check("a picture of the camera gets an answer", p.page.locator("#answers li").count() == 10)
            p.page.check("#always")
            before = len(p.urls)
            p.page.wait_for_timeout(1500)
            check("again and again", len(p.urls) > before + 1, (before, len(p.urls)))
            p.page.click("#stop")
            check("it stops", p.page.evaluate("document.getElementById('live').hidden && stream === null"))
            check("no error in the console", not p.errors, p.errors)
    with Server(*models(), "--host", "kitfox.test") as s, Page(s, host="kitfox.test") as p:
        check(
            "by http and a name: no camera, and why",
            not p.page.is_visible("#camera") and "https" in p.text("#nocamera"),
            p.text("#nocamera"),
        )
        p.drop("frog")
        check("the rest works", p.text("#answers .name") == "frog")


def contrast(p, one, two):
    """The contrast of two colours of the style, as WCAG has it."""
    return p.page.evaluate(
        """([one, two]) => {
        const style = getComputedStyle(document.documentElement), light = name => {
            const c = document.createElement("canvas").getContext("2d");
            c.fillStyle = style.getPropertyValue(name);
            c.fillRect(0, 0, 1, 1);
            const [r, g, b] = [...c.getImageData(0, 0, 1, 1).data].map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
            return .2126 * r + .7152 * g + .0722 * b + .05;
        }, a = light(one), b = light(two);
        return Math.max(a, b) / Math.min(a, b);
    }""",
        [one, two],
    )


@case
def light_dark_and_a_phone():
    with Server(*models()) as s:
        papers = {}
        for scheme, width in ("light", 1000), ("dark", 1000), ("light", 360), ("dark", 320):
            view = {"width": width, "height": 800}
            with Page(s, color_scheme=scheme, viewport=view) as p:
                p.drop("frog")
                p.page.click("#profile")
                p.page.locator("#steps li").first.wait_for()
                name = f"{scheme}, {width} pixels"
                papers[scheme] = p.page.evaluate("getComputedStyle(document.body).backgroundColor")
                wide = p.page.evaluate("document.documentElement.scrollWidth")
                check(f"{name}: nothing is wider than the screen", wide <= width, wide)
                pairs = [(a, b) for a in ("--ink", "--quiet", "--wrong") for b in ("--paper", "--soft")] + [
                    ("--first", "--paper")
                ]
                low = [(a, b) for a, b in pairs if contrast(p, a, b) < 4.5] + [
                    b for b in ("--first", "--second") if contrast(p, b, "--soft") < 3
                ]
                check(f"{name}: text and bars can be told from the paper", not low, low)
                small = p.page.evaluate(
                    """[...document.querySelectorAll("button, label.button, select")].filter(e => e.offsetHeight)
                    .map(e => [e.textContent, e.offsetHeight]).filter(e => e[1] < 36)"""
                )
                check(f"{name}: fingers hit the buttons", not small, small)
                if PICTURES:
                    os.makedirs(PICTURES, exist_ok=True)
                    p.page.evaluate(
                        "document.activeElement.blur(); steps.innerHTML = ''; sum.textContent = ''; scrollTo(0, 0)"
                    )
                    p.page.screenshot(path=os.path.join(PICTURES, f"page-{scheme}-{width}.png"), full_page=True)
        check("dark is not light", papers["light"] != papers["dark"], papers)


@case
def the_token(folder):
    with open(os.path.join(folder, "token"), "w") as f:
        f.write(TOKEN + "\n")
    with Server(*models(), "--token-file", os.path.join(folder, "token")) as s:
        with Page(s) as p:
            p.fails("asks for a token")
            check("the field of the token has the focus", p.page.evaluate("document.activeElement.id") == "token")
            p.page.keyboard.type("wrong-token-0123456789")
            p.page.keyboard.press("Enter")
            p.fails("not the token")
            p.page.keyboard.type(TOKEN)
            p.page.keyboard.press("Enter")
            p.page.locator("#model option").first.wait_for(state="attached")
            p.drop("frog")
            check("with the token it works", p.text("#answers .name") == "frog" and not p.page.is_visible("#token"))
            p.page.goto(p.url + "docs")
            p.page.locator("#token").wait_for()
            check(
                "/docs shows the header, not the token",
                "Bearer $TOKEN" in p.text("main") and TOKEN not in p.page.content(),
            )
        with Page(s, path="/#token=" + TOKEN) as p:
            p.drop("frog")
            check(
                "a link with the token; it leaves the address",
                "token" not in p.page.url and not p.errors,
                (p.page.url, p.errors),
            )


@case
def the_examples_run_as_they_are_shown(folder):
    shutil.copy(os.path.join(EXAMPLES, "frog.jpg"), os.path.join(folder, "cat.jpg"))
    with Server(*models()) as s, Page(s, path="/docs") as p:
        p.page.locator(".model", has_text="everyday10").first.wait_for()
        shown = {e.get_attribute("aria-label"): e.inner_text() for e in p.page.locator("pre").all()}
        for name in "curl: a picture", "curl: facts of the model", "curl: the protocol":
            for line in [shown[name]] if "protocol" in name else shown[name].splitlines():
                r = subprocess.run(
                    ["bash", "-c", line.replace("curl ", "curl -sS --fail ", 1)],
                    cwd=folder,
                    capture_output=True,
                    text=True,
                )
                good = '"everyday10"' in r.stdout and ("facts" in name or "frog" in r.stdout)
                check(f"{name}: {line[:60]}", r.returncode == 0 and good, r.stdout + r.stderr)
        r = subprocess.run(
            [sys.executable, "-c", shown["Python: a picture"]], cwd=folder, capture_output=True, text=True
        )
        check("Python alone", r.stdout.startswith("frog 0.9"), r.stdout + r.stderr)
        client = os.environ.get("KITFOX_TRITON") or os.path.join(CACHE, "kitfox", "triton", "bin", "python")
        if os.path.exists(client):
            r = subprocess.run(
                [client, "-c", shown["Python: tritonclient"]], cwd=folder, capture_output=True, text=True
            )
            check("Python with tritonclient", r.returncode == 0 and "[[" in r.stdout, r.stdout + r.stderr)
        check("no error in the console", not p.errors, p.errors)


if __name__ == "__main__":
    sys.exit(run_cases())
