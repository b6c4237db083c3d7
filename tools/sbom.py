#!/usr/bin/env python3
"""What a build consists of, as SPDX 2.3 in JSON: its files with hashes, the libraries that they link, those that they
load when needed, versions, licences, and of Debian's libraries the package.

    tools/sbom.py BUILD [-o FILE]       all that a build folder installs
    tools/sbom.py PROGRAM [-o FILE]     one program, static or not, as tools/static.sh makes it
    --about FILE                        what PROGRAM --version --json said, where it does not run here

The versions are those that the program itself says. The time is that of SOURCE_DATE_EPOCH, or of the commit: the same
build gives the same list. A library that the table below does not know ends it with an error.
"""

import argparse
import datetime
import hashlib
import json
import os
import re
import subprocess
import sys
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Name, stem of the file that is linked, licence.
LIBRARIES = {
    "glibc": ("libc", "LGPL-2.1-or-later"),
    "jansson": ("libjansson", "MIT"),
    "protobuf-c": ("libprotobuf-c", "BSD-2-Clause"),
    "libyaml": ("libyaml-0", "MIT"),
    "libjpeg": ("libjpeg", "IJG AND BSD-3-Clause AND Zlib"),
    "zlib": ("libz", "Zlib"),
    "libspng": ("libspng", "BSD-2-Clause"),
    "libwebp": ("libwebp", "BSD-3-Clause"),
    "libtiff": ("libtiff", "libtiff"),
    "libmicrohttpd": ("libmicrohttpd", "LGPL-2.1-or-later"),
    "libcurl": ("libcurl", "curl"),
    "OpenSSL": ("libcrypto", "Apache-2.0"),
    "c-ares": ("libcares", "MIT"),
    "cairo": ("libcairo", "LGPL-2.1-only OR MPL-1.1"),
    "libavif": ("libavif", "BSD-2-Clause"),
    "GnuTLS": ("libgnutls", "LGPL-2.1-or-later"),
    "libheif": ("libheif", "LGPL-3.0-or-later"),
}
PARTS_OF_GLIBC = ("libc", "libm", "libpthread", "libdl", "ld-linux-x86-64", "ld-linux-aarch64")
OURS = ("libkitfox", "libkitfoxc", "libkitfoximg", "libkitfoxlab")


def output(*words):
    p = subprocess.run(words, capture_output=True, text=True)
    return p.stdout if p.returncode == 0 else ""


def files_of(what):
    """The files of the list: one program, or what the build folder would install."""
    if os.path.isfile(what):
        return [what]
    names = (
        "programs/kitfox",
        "src/libkitfox.so",
        "src/libkitfoxc.so",
        "src/codec/libkitfoximg.so",
        "src/lab/libkitfoxlab.so",
        "src/libkitfox.a",
        "src/libkitfoxc.a",
        "src/codec/libkitfoximg.a",
        "src/lab/libkitfoxlab.a",
    )
    paths = [os.path.join(what, name) for name in names]
    if not os.path.exists(paths[0]):
        paths[0] = os.path.join(what, "programs/kitfox-run")
    return [path for path in paths if os.path.exists(path)]


def libraries_of(path):
    """Names of the table that an ELF file needs."""
    found = set()
    for name in re.findall(r"\(NEEDED\).*\[(.*?)\.so", output("readelf", "-dW", path)):
        if name in OURS:
            continue
        stem = "libc" if name in PARTS_OF_GLIBC else name
        names = [key for key, (file, _) in LIBRARIES.items() if file == stem]
        if not names:
            sys.exit(f"{path}: needs {name}, which the table of tools/sbom.py lacks")
        found.add(names[0])
    return found


def package_of(stem):
    """The Debian package of a shared library, as a package URL; or None."""
    path = re.search(rf"{re.escape(stem)}\.so[.\d]* .*=> (/\S+)", output("ldconfig", "-p"))
    real = os.path.realpath(path.group(1)) if path else ""
    # Where /lib is a link to /usr/lib, dpkg knows a file by the name that its package gave it.
    places = [place for place in (real, real.removeprefix("/usr")) if place]
    owner = next((found.split(":") for found in (output("dpkg-query", "-S", p) for p in places) if found), [])
    if len(owner) < 2:
        return None
    arch = owner[1] if len(owner) > 2 else "all"
    version = output("dpkg-query", "-W", "-f", "${Version}", f"{owner[0]}:{arch}" if len(owner) > 2 else owner[0])
    return f"pkg:deb/debian/{owner[0]}@{version.replace('+', '%2B').replace(':', '%3A')}?arch={arch}"


def versions(about):
    """Version and way of each library: linked, loaded, or absent."""
    result = {"glibc": (about["libc"].replace("glibc ", ""), "linked")}
    for lib in about["libraries"]:
        if lib["name"] not in LIBRARIES:
            sys.exit(f"{lib['name']}: the table of tools/sbom.py lacks it")
        if lib["version"]:
            version = re.search(r"\d[\w.]*", lib["version"]).group()
            result[lib["name"]] = (version, "linked" if lib["linked"] else "loaded")
            for name in ("OpenSSL", "c-ares") if lib["name"] == "libcurl" and about["static"] else ():
                inside = re.search(rf"{name}/([\w.]+)", lib["version"])
                if inside:
                    result[name] = (inside.group(1), "linked")
    return result


def identity(text):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", text)


def describe(paths, about):
    found = versions(about)
    kitfox = {
        "name": "kitfox",
        "SPDXID": "SPDXRef-kitfox",
        "versionInfo": about["version"],
        "downloadLocation": "NOASSERTION",
        "licenseConcluded": "Apache-2.0",
        "licenseDeclared": "Apache-2.0",
        "licenseInfoFromFiles": ["Apache-2.0"],
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "APPLICATION",
        "filesAnalyzed": True,
        "comment": f"{about['machine']}, {about['compiler']}, static: {about['static']}, hardened: {about['hardened']}",
    }
    packages = [kitfox]
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-kitfox")]
    for name in sorted(found):
        stem, licence = LIBRARIES[name]
        package = {
            "name": name,
            "SPDXID": identity("lib-" + name),
            "versionInfo": found[name][0],
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False,
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": licence,
            "copyrightText": "NOASSERTION",
            "primaryPackagePurpose": "LIBRARY",
        }
        url = None if about["static"] else package_of(stem)
        if url:
            package["externalRefs"] = [
                {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": url}
            ]
        packages.append(package)
        if found[name][1] == "loaded":
            relations.append((package["SPDXID"], "OPTIONAL_DEPENDENCY_OF", "SPDXRef-kitfox"))
    files = []
    for path in paths:
        with open(path, "rb") as f:
            data = f.read()
        name = os.path.basename(path)
        files.append(
            {
                "fileName": "./" + name,
                "SPDXID": identity("file-" + name),
                "licenseConcluded": "NOASSERTION",
                "licenseInfoInFiles": ["Apache-2.0"],
                "copyrightText": "NOASSERTION",
                "checksums": [
                    {"algorithm": kind, "checksumValue": hashlib.new(kind.lower(), data).hexdigest()}
                    for kind in ("SHA1", "SHA256")
                ],
            }
        )
        relations.append(("SPDXRef-kitfox", "CONTAINS", files[-1]["SPDXID"]))
        linked = {n for n in found if found[n][1] == "linked"} if about["static"] else libraries_of(path)
        for library in sorted(linked):
            if library not in found:
                sys.exit(f"{path}: links {library}, of which the program says no version")
            relations.append(
                (files[-1]["SPDXID"], "STATIC_LINK" if about["static"] else "DYNAMIC_LINK", identity("lib-" + library))
            )
    sums = sorted(f["checksums"][0]["checksumValue"] for f in files)
    kitfox["packageVerificationCode"] = {
        "packageVerificationCodeValue": hashlib.sha1("".join(sums).encode()).hexdigest()
    }
    return packages, files, relations


def main():
    parser = argparse.ArgumentParser(description="What a build consists of, as SPDX 2.3.")
    parser.add_argument("what", metavar="BUILD|PROGRAM")
    parser.add_argument("-o", "--output", metavar="FILE")
    parser.add_argument("--about", metavar="FILE")
    args = parser.parse_args()
    paths = files_of(args.what)
    if not paths:
        sys.exit(f"{args.what}: no program of KitFox is there")
    if args.about:
        with open(args.about) as f:
            about = json.load(f)
    else:
        about = json.loads(output(os.path.abspath(paths[0]), "--version", "--json") or "null")
    if not about:
        sys.exit(f"{paths[0]}: does not run here; name what it says with --about")
    packages, files, relations = describe(paths, about)
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or output("git", "-C", ROOT, "log", "-1", "--format=%ct") or 0)
    unique = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps([packages, files]))
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"kitfox-{about['version']}",
        "documentNamespace": f"urn:uuid:{unique}",
        "creationInfo": {
            "created": datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": [f"Tool: kitfox-sbom-{about['version']}"],
        },
        "packages": packages,
        "files": files,
        "relationships": [
            {"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b} for a, kind, b in relations
        ],
    }
    text = json.dumps(document, indent=2) + "\n"
    if args.output:
        with open(args.output, "w") as f:
            f.write(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
