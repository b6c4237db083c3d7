"""Downloads by Python's own client, where the machine has no libcurl: the rules of the library's kf_pull.

A part is resumed only under the validator that it was begun under; nothing gets its name before it is complete and
checked: the length, the hash, the structure of the checkpoint, and that the configuration is of these weights.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import struct
import time
import urllib.error
import urllib.request
from typing import Any, Dict, List, Optional, Tuple

from ._call import ArgumentError, Cancelled, FileError, FormatError, LimitError, Watch, ffi, text
from ._model import cache_folder

HUB = "https://huggingface.co"
MOST = {"config.json": 1 << 20}
MOST_WEIGHTS = 1 << 30


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Never from https to http, never to a file; what the hub says about the linked file is kept."""

    max_redirections = 8

    def __init__(self) -> None:
        self.linked: Dict[str, str] = {}

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        self.linked.update({k.lower(): v for k, v in headers.items() if k.lower().startswith("x-linked-")})
        secure = req.full_url.startswith("https:")
        if not newurl.startswith("https:" if secure else ("http:", "https:")):
            raise urllib.error.URLError(f"a redirect from {req.full_url} to {newurl} is not followed")
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        for name in ("Range", "If-range"):
            if new is not None and req.has_header(name):
                new.add_unredirected_header(name, req.get_header(name))
        return new


class _Again(Exception):
    """This attempt failed; another one may not."""


def _tell(watch: Watch, done: int, total: int) -> None:
    """Progress; Ctrl-C is raised by Python itself."""
    if watch.progress is not None and watch.stop(watch.progress, done, total):
        if watch.raised is not None:
            raise watch.raised
        raise Cancelled("the download was stopped")


class _Part:
    """One file on its way: "PATH.part", locked, and "PATH.part.tag", which says what it is the beginning of."""

    def __init__(self, path: str, url: str, most: int, sha256: Optional[str]):
        self.path, self.url, self.most, self.sha256 = path, url, most, sha256
        self.part, self.tag = path + ".part", path + ".part.tag"
        self.linked: Dict[str, str] = {}
        try:
            fd = os.open(self.part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError as e:
            raise FileError(f"{self.part}: cannot write; {e.strerror}; check the folder") from None
        self.file = os.fdopen(fd, "r+b")
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.file.close()
            raise FileError(f"{self.part}: another pull is fetching this file; wait for it") from None

    def begun(self) -> Tuple[int, str]:
        """How many bytes are there, and the validator that they were sent under; 0 where they cannot be gone on with."""
        size = os.fstat(self.file.fileno()).st_size
        try:
            with open(self.tag, encoding="utf-8") as f:
                url, validator = f.read().split("\n")[:2]
        except (OSError, ValueError):
            return 0, ""
        return (size, validator) if url == self.url and validator and size else (0, "")

    def begin(self, answer: Any) -> None:
        """The first answer, or one from the first byte: the validator goes to disk before the bytes."""
        self.drop()
        validator = answer.headers.get("ETag", "")
        if validator.startswith('"'):
            with open(self.tag, "w", encoding="utf-8") as f:
                f.write(f"{self.url}\n{validator}\n{answer.headers.get('Content-Length', 0)}\n")

    def drop(self) -> None:
        self.file.seek(0)
        self.file.truncate()
        if os.path.exists(self.tag):
            os.unlink(self.tag)

    def attempt(self, opener: Any, redirects: _Redirects, o: Any, watch: Watch) -> None:
        at, validator = self.begun() if self.url.startswith("http") else (0, "")
        request = urllib.request.Request(self.url, headers={"User-Agent": "kitfox", "Accept-Encoding": "identity"})
        if at:
            request.add_header("Range", f"bytes={at}-")
            request.add_header("If-Range", validator)
        with opener.open(request, timeout=o.timeout_s) as answer:
            self.linked = {**redirects.linked, **{k.lower(): v for k, v in answer.headers.items()}}
            if at and answer.status == 206:
                if (
                    not answer.headers.get("Content-Range", "").startswith(f"bytes {at}-")
                    or answer.headers.get("ETag", "") != validator
                ):
                    self.drop()
                    raise _Again("the server sends another range; started over")
                self.file.seek(at)
                self.file.truncate()
            else:
                at = 0
                self.begin(answer)
            length = answer.headers.get("Content-Length")
            self.receive(answer, at, at + int(length) if length else 0, o, watch)

    def receive(self, answer: Any, at: int, total: int, o: Any, watch: Watch) -> None:
        begun, first = time.monotonic(), at
        while True:
            _tell(watch, at, total)
            piece = answer.read1(1 << 16)
            passed = time.monotonic() - begun
            if passed > o.timeout_s:
                if at + len(piece) - first < o.slowest * passed:
                    raise _Again(f"less than {o.slowest} bytes per second for {o.timeout_s} s")
                begun, first = time.monotonic(), at + len(piece)
            if not piece:
                break
            at += len(piece)
            if at > self.most:
                raise LimitError(f"{self.url}: more than {self.most} bytes")
            self.file.write(piece)
        self.file.flush()
        if total and at != total:
            raise _Again(f"the transfer broke after {at} of {total} bytes")
        os.fsync(self.file.fileno())

    def judge(self) -> str:
        """The hash of what arrived; FormatError where it is not what was promised."""
        digest = sha256_of(self.part)
        wanted = self.sha256 or self.linked.get("x-linked-etag", "").strip('"')
        if len(wanted) == 64 and digest != wanted:
            raise FormatError(
                f"{self.url}: the SHA-256 differs: {digest} arrived, {wanted} is "
                f"{'asked for' if self.sha256 else 'published'}; try again later or another mirror"
            )
        size = self.linked.get("x-linked-size")
        if size and int(size) != os.path.getsize(self.part):
            raise FormatError(f"{self.url}: the file is shorter or longer than the hub lists it; try again later")
        return digest

    def name(self) -> None:
        if os.path.exists(self.tag):
            os.unlink(self.tag)
        os.replace(self.part, self.path)
        self.file.close()

    def leave(self, keep: bool) -> None:
        """Parts stay only where a later call can go on with them."""
        if self.file.closed:
            return
        if not keep or not self.begun()[0]:
            for path in (self.tag, self.part):
                if os.path.exists(path):
                    os.unlink(path)
        self.file.close()


def sha256_of(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        for piece in iter(lambda: f.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


def _opener(url: str) -> Tuple[Any, _Redirects]:
    redirects = _Redirects()
    handlers = [
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        redirects,
    ]
    if url.startswith("file:"):
        handlers.append(urllib.request.FileHandler())
    opener = urllib.request.OpenerDirector()
    for handler in handlers:
        opener.add_handler(handler)
    return opener, redirects


class _Missing(Exception):
    """The server has no such file."""


def _fetch(part: _Part, o: Any, watch: Watch) -> None:
    wait = o.wait_ms / 1000
    for left in range(o.tries, 0, -1):
        opener, redirects = _opener(part.url)
        try:
            part.attempt(opener, redirects, o, watch)
            return
        except urllib.error.HTTPError as e:
            if e.code in (404, 410):
                raise _Missing() from None
            why: Any = f"the server answers {e.code}"
            if e.code == 416:
                part.drop()
            elif e.code < 500 and e.code not in (408, 429):
                raise FileError(f"{part.url}: {why}; check the mirror") from None
        except urllib.error.URLError as e:
            why = e.reason
            if part.url.startswith("file:"):
                raise _Missing() from None
        except (_Again, OSError, ValueError) as e:
            why = e
        if left == 1:
            break
        end = time.monotonic() + wait
        while time.monotonic() < end:
            _tell(watch, 0, 0)
            time.sleep(0.05)
        wait = min(30.0, 2 * wait)
    raise FileError(f"{part.url}: {why}; no network? run it again to go on where it stopped, or try another mirror")


def _is_of(repository: str, path: str) -> bool:
    """Is a configuration of these weights? "OWNER/ARCHITECTURE.TAG" against its keys."""
    try:
        with open(path, encoding="utf-8") as f:
            config = json.load(f)
        cfg = config.get("pretrained_cfg") or {}
        arch, _, tag = repository.partition("/")[2].partition(".")
        return bool(config.get("architecture") == arch and cfg.get("tag", tag) == tag)
    except (OSError, ValueError, AttributeError):
        return False


def _whole(path: str) -> bool:
    """Is a checkpoint as long as its header says?"""
    size = os.path.getsize(path)
    with open(path, "rb") as f:
        head = f.read(8)
        n = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= n <= min(1 << 24, size - 8):
            return False
        try:
            header = json.loads(f.read(n))
            ends = [v["data_offsets"][1] for k, v in header.items() if k != "__metadata__"]
            return bool(8 + n + max(ends, default=0) == size)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return False


def _places(name: str, file: str, output: Optional[str]) -> Tuple[str, str]:
    if output is not None and not (output.endswith("/") or os.path.isdir(output)):
        config = os.path.join(os.path.dirname(output), "config.json")
        if config == output:
            raise ArgumentError(f"{output}: the configuration goes there; choose another name for the weights")
        return output, config
    folder = output or cache_folder(name)
    if folder is None:
        raise FileError("pull: neither XDG_CACHE_HOME nor HOME is set; give output")
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as e:
        raise FileError(f"{folder}: the folder cannot be made; {e.strerror}") from None
    return os.path.join(folder, file), os.path.join(folder, "config.json")


def _bring(path: str, name: str, repository: str, sha256: Optional[str], o: Any, watch: Watch, parts: List[Any]) -> str:
    """One file, from the hub's paths or a mirror's plain folders, still under its name as a part."""
    mirror = text(o.mirror)
    base = (mirror or HUB).rstrip("/")
    for url in [f"{base}/{repository}/resolve/main/{name}"] + ([f"{base}/{repository}/{name}"] if mirror else []):
        part = _Part(path, url, MOST.get(name, MOST_WEIGHTS), sha256)
        parts.append(part)
        try:
            _fetch(part, o, watch)
        except _Missing:
            part.leave(False)
            continue
        return part.judge()
    raise FileError(f"{url}: the server has no such file; check the mirror")


def download(name: str, repository: str, file: str, o: Any, watch: Watch) -> str:
    """Weights and configuration as a pair, by a checked kf_pull_options; the path of the weights."""
    sha256, force = text(o.sha256), o.force
    path, config = _places(name, file, None if o.output == ffi.NULL else os.fsdecode(ffi.string(o.output)))
    keep = not force and os.path.isfile(config)
    if keep and not _is_of(repository, config):
        raise FileError(f"{config}: this configuration is of other weights; choose another output, or force")
    if keep and os.path.isfile(path):
        if not _whole(path):
            raise FormatError(f"{path}: what is there is not a complete safetensors file; replace it with force")
        if sha256 is not None and sha256_of(path) != sha256:
            raise FormatError(f"{path}: the SHA-256 differs: {sha256} is asked for; replace it with force")
        return path
    parts: List[Any] = []
    kept = False
    try:
        if not keep:
            _bring(config, "config.json", repository, None, o, watch, parts)
            if not _is_of(repository, parts[-1].part):
                raise FormatError(f"{parts[-1].url}: this configuration is of other weights; check the mirror")
        settings = None if keep else parts[-1]
        digest = _bring(path, file, repository, sha256, o, watch, parts)
        if not _whole(parts[-1].part):
            raise FormatError(f"{parts[-1].url}: what arrived is not a complete safetensors file; try again later")
        if not force and os.path.isfile(path) and sha256_of(path) != digest:
            raise FileError(f"{path}: a different file is there; choose another output, or replace it with force")
        parts[-1].name()  # the weights first: what has a name is whole
        if settings is not None:
            settings.name()
        return path
    except FileError:
        kept = True  # a broken transfer: a later call goes on with what has a validator
        raise
    finally:
        for part in parts:
            part.leave(kept and part.path == path)
