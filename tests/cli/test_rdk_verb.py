#!/usr/bin/env python3
"""kitfox rdk: command lines of the board's scripts as they stand, by the verb and by links; the words that scripts search
in what is printed; flags without a meaning; machine code of the board. Called by meson with the program's path."""

import array
import json
import os
import re
import shutil
import subprocess
import sys

from kit import EXAMPLES, KITFOX, ROOT, case, check, once, run, run_cases

ONNX = os.path.join(ROOT, "data", "everyday10.onnx")
FROG = os.path.join(EXAMPLES, "frog.jpg")
SIDE = 64
YAML = """model_parameters:
  onnx_model: './everyday10.onnx'
  march: "bayes-e"
  layer_out_dump: False
  working_dir: 'E10_64x64_nv12'
  output_model_file_prefix: 'E10_64x64_nv12'
input_parameters:
  input_name: ""
  input_type_rt: 'nv12'
  input_type_train: 'rgb'
  input_layout_train: 'NCHW'
  input_shape: ''
  norm_type: 'data_mean_and_scale'
  mean_value: 123.675 116.28 103.53
  scale_value: 0.01712475 0.017507 0.01742919
calibration_parameters:
  cal_data_dir: './calibration_data_rgb_f32'
  cal_data_type: 'float32'
  calibration_type: 'max'
  max_percentile: 0.999
compiler_parameters:
  compile_mode: 'latency'
  debug: False
  optimize_level: 'O3'
"""


def tool(line, cwd, env=None):
    """A command line as a script has it, through a link if the name leads to one."""
    words = line.split()
    link = os.path.join(cwd, "bin", words[0])
    p = subprocess.run([link, *words[1:]], capture_output=True, cwd=cwd, env={**os.environ, **(env or {})}, timeout=300)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


@once
def zoo(folder):
    """A folder of the zoo: the network, calibration data, the YAML file, links to the tools; quantized once."""
    os.mkdir(os.path.join(folder, "bin"))
    os.mkdir(os.path.join(folder, "calibration_data_rgb_f32"))
    assert run("rdk", "--install", os.path.join(folder, "bin"))[0] == 0
    shutil.copy(ONNX, folder)
    for k in range(8):
        plane = [
            float((x * (k + 2) + c * 31 + x // SIDE * (k % 3)) % 256) for c in range(3) for x in range(SIDE * SIDE)
        ]
        with open(os.path.join(folder, "calibration_data_rgb_f32", f"{k}.rgb"), "wb") as f:
            array.array("f", plane).tofile(f)
    with open(os.path.join(folder, "E10_config.yaml"), "w") as f:
        f.write(YAML)
    code, out, err = tool("hb_mapper makertbin --model-type onnx --config E10_config.yaml", folder)
    check("makertbin", code == 0, (code, out, err))
    return folder, out


@case
def makertbin():
    folder, out = zoo()
    for words in (
        "The main quantized node information:",
        "The quantized model output:",
        "Cosine Similarity",
        "Convert to runtime bin file successfully!",
        "End Model Convert",
    ):
        check(f"makertbin: {words}", words in out, out)
    there = set(os.listdir(os.path.join(folder, "E10_64x64_nv12")))
    check("    files", {"E10_64x64_nv12.kfx", "E10_64x64_nv12_quantized_model.onnx"} <= there, there)
    with open(os.path.join(folder, "hb_mapper_makertbin.log")) as f:
        check("    log", "Convert to runtime bin file successfully!" in f.read())
    with open(os.path.join(folder, "E10_64x64_nv12", "E10_64x64_nv12.kfx"), "rb") as f:
        by_tool = f.read()
    code, _, err = run("quantize", "E10_config.yaml", cwd=folder)
    with open(os.path.join(folder, "E10_64x64_nv12", "E10_64x64_nv12.kfx"), "rb") as f:
        check("    the bytes of kitfox quantize", code == 0 and f.read() == by_tool, err)
    for line, words in (
        ("hb_mapper makertbin", "-c CONFIG.yaml is needed"),
        ("hb_mapper makertbin -c a.yaml --model-type caffe", "only onnx"),
        ("hb_mapper makertbin -c a.txt", ".yaml file"),
        ("hb_mapper makertbin --fast-perf --model-type onnx", "--model MODEL.onnx"),
        ("hb_mapper makertbin --confg a.yaml", "did you mean --config?"),
        ("hb_mapper", "checker or makertbin"),
    ):
        code, out, err = tool(line, folder)
        check(line, code == 2 and not out and words in err, (code, out, err))
    code, _, err = tool("hb_mapper makertbin -c missing.yaml --model-type onnx", folder)
    check("no such file", code == 1 and "missing.yaml" in err, err)


@case
def fast_perf(folder):
    source, _ = zoo()
    os.symlink(os.path.join(source, "bin"), os.path.join(folder, "bin"))
    code, out, err = tool(f"hb_mapper makertbin --fast-perf --model {ONNX} --model-type onnx --march bayes-e", folder)
    check(
        "fast-perf",
        code == 0
        and os.path.exists(os.path.join(folder, "model_output", "everyday10.kfx"))
        and os.path.exists(os.path.join(folder, "everyday10_fast_perf.yaml")),
        (code, out, err),
    )
    code, out, err = tool("hrt_model_exec perf --model_file model_output/everyday10.bin --frame_count 3", folder)
    check("    its speed", code == 0 and "Frame      rate       is: " in out, (code, out, err))


@case
def checker():
    folder, _ = zoo()
    code, out, err = tool(
        "hb_mapper checker --model-type onnx --march bayes-e --model everyday10.onnx --input-shape data 1x3x64x64",
        folder,
    )
    check(
        "checker",
        code == 0
        and re.search(r"Node +ON +Subgraph +Type", out)
        and re.search(r"/conv_stem/Conv +CPU +id\(0\) +Conv\n", out),
        (code, out, err),
    )
    check("    march has no meaning", err.count("--march has no meaning on a CPU") == 1, err)
    with open(os.path.join(folder, "hb_mapper_checker.log")) as f:
        check("    log", f.read() == out)
    code, out, err = tool(
        "hb_mapper checker --model-type onnx --march bayes-e --model everyday10.onnx --input-shape data 1x3x60x60",
        folder,
    )
    check("    another shape than the file's", code == 1 and not out and "dimension 2 is 64" in err, (code, out, err))
    code, out, err = tool("hb_mapper checker --model everyday10.onnx --input-shape data", folder)
    check("    half a pair", code == 2 and "two words" in err, err)
    check("version", tool("hb_mapper --version", folder)[1].startswith("hb_mapper, version "))


@case
def model_info():
    folder, _ = zoo()
    code, out, err = tool("hrt_model_exec model_info --model_file=E10_64x64_nv12/E10_64x64_nv12.bin", folder)
    rows = (
        "This model file has 1 model:\n[E10_64x64_nv12]\n"
        + "-" * 69
        + "\n[model name]: E10_64x64_nv12\n\ninput[0]: \nname: ",
        "input source: HB_DNN_INPUT_FROM_PYRAMID\nvalid shape: (1,3,64,64,)\n",
        "aligned byte size: 6144\ntensor type: HB_DNN_IMG_TYPE_NV12\ntensor layout: HB_DNN_LAYOUT_NCHW\nquanti type: NONE\nstride: (0,0,0,0,)\n",
        "output[0]: \nname: output\nvalid shape: (1,10,1,1,)\n",
        "aligned byte size: 40\ntensor type: HB_DNN_TENSOR_TYPE_F32\ntensor layout: HB_DNN_LAYOUT_NCHW\nquanti type: NONE\nstride: (40,4,4,4,)\n",
    )
    for row in rows:
        check("model_info: " + row.split("\n")[0], code == 0 and row in out, (code, out, err))
    check("    the .kfx beside the .bin", "E10_64x64_nv12.kfx is beside it" in err, err)
    code, out, _ = tool(
        f"hrt_model_exec model_info --model_file {ONNX},E10_64x64_nv12/E10_64x64_nv12.kfx --model_name everyday10",
        folder,
    )
    check(
        "    by name",
        code == 0 and out.count("[model name]:") == 1 and "[everyday10]" in out and "HB_DNN_IMG_TYPE_RGB" in out,
        out,
    )
    code, out, _ = tool(
        f"hrt_model_exec model_info --model_file {ONNX},E10_64x64_nv12/E10_64x64_nv12.kfx --model_name=", folder
    )
    check("    all of them", code == 0 and out.count("[model name]:") == 2, out)
    code, _, err = tool(
        f"hrt_model_exec infer --model_file {ONNX},E10_64x64_nv12/E10_64x64_nv12.kfx --input_file x.jpg", folder
    )
    check("    infer needs one", code == 1 and "--model_name" in err, err)


@case
def infer():
    folder, _ = zoo()
    model = "E10_64x64_nv12/E10_64x64_nv12.bin"
    code, out, err = tool(
        f"hrt_model_exec infer --model_file={model} --input_file={FROG} --enable_cls_post_process --enable_dump=true --frame_count 3",
        folder,
    )
    at = [
        out.find(w)
        for w in (
            "get model handle success",
            "get model input count success",
            "read file success!",
            "get model output count success",
            "prepare output tensor success",
            "infer success",
            "task done",
            "Infer time: ",
            "Dump path: ./model_infer_input_0.bin",
            "Dump path: ./model_infer_output_0.bin",
            "class result: [id]6, [score]",
            "hbDNNRelease success!",
        )
    ]
    check("infer: every line, in order", code == 0 and -1 not in at and at == sorted(at), (code, at, out, err))
    check(
        "    the lines that parsers match",
        re.search(r"^Infer time: [\d.]+ ms$", out, re.M)
        and re.search(r"^class result: \[id\]\d+, \[score\][\d.]+$", out, re.M),
        out,
    )
    with open(os.path.join(folder, "model_infer_input_0.bin"), "rb") as f:
        frame = f.read()
    logits = array.array("f")
    with open(os.path.join(folder, "model_infer_output_0.bin"), "rb") as f:
        logits.frombytes(f.read())
    check(
        "    dumps",
        len(frame) == 6144 and len(logits) == 10 and max(range(10), key=logits.__getitem__) == 6,
        (len(frame), logits),
    )
    code, out, _ = tool(
        f"hrt_model_exec infer --model_file={model} --input_file=model_infer_input_0.bin --enable_dump --dump_format=txt --dump_precision=9",
        folder,
    )
    with open(os.path.join(folder, "model_infer_output_0.txt")) as f:
        again = [float(w) for w in f.read().split()]
    check(
        "    its own frame gives the same",
        code == 0 and "file length: 6144" in out and array.array("f", again) == logits,
        (out, again, logits),
    )
    code, out, _ = run(
        "stream",
        "-w",
        "64",
        "-h",
        "64",
        "--json",
        os.path.join("E10_64x64_nv12", "E10_64x64_nv12.kfx"),
        stdin=frame,
        cwd=folder,
    )
    if code == 0:
        check("    and kitfox stream", json.loads(out.splitlines()[0])["top"][0]["index"] == 6, out)
    for name, data, words in (
        ("x.bin", bytes(6143), ("6143 bytes", "6144 of an NV12 frame", "49152 of float32")),
        ("x.txt", b"1 2 3", ("3 numbers", "12288")),
        ("y.txt", b"1 2 frog", ("numbers are needed",)),
        ("x.jpg", b"no picture", ("x.jpg",)),
    ):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
        code, _, err = tool(f"hrt_model_exec infer --model_file={model} --input_file={name}", folder)
        check(f"    {name}", code == 1 and all(w in err for w in words), err)
    code, _, err = tool(f"hrt_model_exec infer --model_file={model} --input_file=a.bin,b.bin", folder)
    check("    too many inputs", code == 1 and "2 files, but the model has 1" in err, err)


@case
def perf(folder):
    source, _ = zoo()
    model = "E10_64x64_nv12/E10_64x64_nv12.bin"
    code, out, err = tool(
        f"hrt_model_exec perf --model_file {model} --thread_num 4 --frame_count 250 --profile_path={folder}/p", source
    )
    block = (
        r"Frame count: 200,  Thread Average: [\d.]+ ms,  thread max latency: [\d.]+ ms,  thread min latency: [\d.]+ ms,  FPS: [\d.]+\n",
        r"Running condition:\n  Thread number is: 4\n  Frame count   is: 250\n  Program run time: [\d.]+ ms\n"
        r"Perf result:\n  Frame totally latency is: [\d.]+ ms\n  Average    latency    is: [\d.]+ ms\n  Frame      rate       is: [\d.]+ FPS\n",
        r"hbDNNRelease success!\n",
    )
    check("perf: its blocks", code == 0 and all(re.search(b, out) for b in block), (code, out, err))
    with open(os.path.join(folder, "p", "profiler.log")) as f:
        first, second = re.split(r"\n\*+\n", f.read())
    first, second = json.loads(first), json.loads(second)
    check(
        "    profiler.log",
        first["running_condition"]["thread_num"] == 4
        and first["perf_result"]["FPS"] > 0
        and len(second["model_latency"]) > 5,
        (first, second),
    )
    with open(os.path.join(folder, "p", "profiler.csv")) as f:
        check("    profiler.csv", len(f.read().splitlines()) == 1 + len(second["model_latency"]))
    code, out, err = tool(
        f"hrt_model_exec perf --model_file {model} --thread_num 12 --frame_count 4 --frame_count=5 --core_id=1 --roi_infer --norest word",
        source,
    )
    check("    an unknown flag", code == 2 and "norest" in err, err)
    code, out, err = tool(
        f"hrt_model_exec perf --model_file {model} --thread_num 12 --frame_count 4 --frame_count=5 --core_id=1 --roi_infer word",
        source,
    )
    check(
        "    the last repeat, 8 threads, words ignored",
        code == 0 and "Thread number is: 8\n" in out and "Frame count   is: 5\n" in out,
        (code, out, err),
    )
    check(
        "    one line for each flag without meaning",
        err.count("has no meaning on a CPU") == 2 and "at most 8" in err,
        err,
    )
    code, out, err = tool("hb_perf E10_64x64_nv12/E10_64x64_nv12.bin", source)
    with open(os.path.join(source, "hb_perf_result", "E10_64x64_nv12", "E10_64x64_nv12.html")) as f:
        page = f.read()
    check(
        "hb_perf",
        code == 0
        and re.search(r"FPS=[\d.]+, latency = [\d.]+ us", out)
        and "Model Perf Report" in page
        and page.count("<tr><td>") > 10,
        (code, out, err),
    )


@case
def machine_code(folder):
    source, _ = zoo()
    os.symlink(os.path.join(source, "bin"), os.path.join(folder, "bin"))
    with open(os.path.join(folder, "net.bin"), "wb") as f:
        f.write(os.urandom(5000))
    for line in (
        "hrt_model_exec model_info --model_file net.bin",
        "hrt_model_exec perf --model_file=net.bin",
        "hb_perf net.bin",
    ):
        code, _, err = tool(line, folder)
        check(line, code == 1 and "machine code of the board" in err and "quantize" in err, err)
    code, _, err = tool("hrt_model_exec perf --model_file=missing.bin", folder)
    check("a missing file is no machine code", code == 1 and "missing.bin" in err and "machine code" not in err, err)
    shutil.copy(os.path.join(source, "E10_64x64_nv12", "E10_64x64_nv12.kfx"), os.path.join(folder, "net.bin"))
    code, out, err = tool("hrt_model_exec model_info --model_file net.bin", folder)
    check("a .kfx by the name of a .bin", code == 0 and "[model name]: net" in out, (code, out, err))


@case
def links(folder):
    code, out, _ = run("rdk", "--install", folder)
    check(
        "install",
        code == 0
        and all(
            os.readlink(os.path.join(folder, n)) == os.path.realpath(KITFOX)
            for n in ("hb_mapper", "hrt_model_exec", "hb_perf")
        ),
        out,
    )
    check("    again", run("rdk", "--install", folder)[0] == 0)
    os.unlink(os.path.join(folder, "hb_perf"))
    os.unlink(os.path.join(folder, "hb_mapper"))
    with open(os.path.join(folder, "hb_perf"), "w") as f:
        f.write("theirs")
    code, out, err = run("rdk", "--install", folder)
    with open(os.path.join(folder, "hb_perf")) as f:
        check(
            "    replaces nothing, and makes nothing then",
            code == 1
            and not out
            and "hb_perf" in err
            and f.read() == "theirs"
            and not os.path.lexists(os.path.join(folder, "hb_mapper")),
            (code, out, err),
        )
    code, _, err = run("rdk", "--install", os.path.join(folder, "no", "where"))
    check("    no such folder", code == 1 and "no/where" in err, err)
    for args, words in (
        (["rdk"], "a tool is needed"),
        (["rdk", "hb_maper"], "no tool of the board"),
        (["rdk", "hrt_model_exec"], "model_info, infer or perf"),
        (["rdk", "hb_perf"], "a model is needed"),
    ):
        code, out, err = run(*args)
        check(" ".join(args), code == 2 and not out and words in err, (code, out, err))
    for args in (
        ["hb_mapper"],
        ["hb_mapper", "checker"],
        ["hb_mapper", "makertbin"],
        ["hrt_model_exec"],
        ["hrt_model_exec", "perf"],
        ["hb_perf"],
    ):
        code, out, err = run("rdk", *args, "--help")
        check(
            "help: " + " ".join(args), code == 0 and out.startswith("Usage: " + args[0]) and not err, (code, out, err)
        )


if __name__ == "__main__":
    sys.exit(run_cases())
