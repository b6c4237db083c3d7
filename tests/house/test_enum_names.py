#!/usr/bin/env python3
"""Every enumeration of every public header has a name for each value and a way back: kf_X_name and kf_X_from_name.

KITFOX_SOURCE is the source root."""
import glob
import os
import re
import sys

text = ""
for path in sorted(glob.glob(os.path.join(os.environ.get("KITFOX_SOURCE", "."), "include", "kitfox", "*.h"))):
    with open(path) as f:
        text += re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
enums = re.findall(r"typedef enum (kf_\w+)", text)
wanted = [f"{enum}_{suffix}" for enum in enums for suffix in ("name", "from_name")]
missing = [name for name in wanted if not re.search(rf"\b{name}\(", text)]
for name in missing:
    print(f"FAIL  {name} is not declared")
print(f"{len(enums)} enumerations, {len(missing)} missing")
sys.exit(bool(missing) or len(enums) < 12)
