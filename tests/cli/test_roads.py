# The ONNX road and the safetensors road give the same program and the same constants.
# What may differ is "meta": source file, producer, and the ONNX file's own element count.
# Usage: test_roads.py KITFOX ROOT. Pairs outside the project are compared where they exist.
import json, os, struct, subprocess, sys, tempfile

kitfox, root = sys.argv[1:3]
shared = os.path.join(root, "..", "shared", "models")


def program(path, shape):
    with tempfile.TemporaryDirectory() as d:
        out = os.path.join(d, "m.kfx")
        subprocess.run([kitfox, "import", path, "-s", shape, "-o", out], check=True)
        data = open(out, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    p = json.loads(json.loads(data[8:8 + n])["__metadata__"]["kitfox.program"])
    del p["meta"]
    return p, data[8 + n:]


failed = 0
for folder, name, shape in ((os.path.join(root, "data"), "everyday10", "1x3x64x64"), (shared, "mobilenetv3_small_050", "1x3x224x224"),
                            (shared, "mobilenetv3_large_100", "1x3x224x224")):
    stem = os.path.join(folder, name)
    if not os.path.exists(stem + ".onnx"):
        print("skipped:", name, "is not here")
        continue
    same = program(stem + ".onnx", shape) == program(stem + ".safetensors", shape)
    print("ok" if same else "FAILED", name)
    failed += not same
sys.exit(1 if failed else 0)
