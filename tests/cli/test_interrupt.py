#!/usr/bin/env python3
"""Ctrl-C while a verb works: the status of the signal, one line, and nothing half-written.

The signal is sent when the first progress appears on the terminal, or, where a verb shows none, once its handler is
installed. Called by meson with the program's path.
"""
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time

from kit import EXAMPLES, KITFOX, ROOT, case, check, run_cases

CHECKPOINT = os.path.join(ROOT, "data", "everyday10.safetensors")
LINES, SECONDS = 20000, 30  # so many pictures take longer than that
YAML = """model_parameters:
  onnx_model: 'm.onnx'
  working_dir: 'out'
input_parameters:
  input_type_rt: 'rgb'
  input_type_train: 'rgb'
  input_layout_train: 'NCHW'
  norm_type: 'data_mean_and_scale'
  mean_value: 123.675 116.28 103.53
  scale_value: 0.01712475 0.017507 0.01742919
calibration_parameters:
  cal_data_dir: 'cal'
  preprocess_on: True
  calibration_type: 'default'
compiler_parameters:
  compile_mode: 'latency'
"""


def catches(pid, number):
    """Is a handler of the signal installed?"""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        mask = next(int(line.split()[1], 16) for line in f if line.startswith("SigCgt"))
    return bool(mask >> (number - 1) & 1)


def interrupted(folder, args, number=signal.SIGINT, progress=True):
    """Exit status, and what the terminal showed. A program that ended before the signal is tried again."""
    text = b""
    for _ in range(5):
        terminal, end = pty.openpty()
        child = subprocess.Popen([KITFOX, *args], stdout=subprocess.DEVNULL, stderr=end, cwd=folder)
        os.close(end)
        text, sent, until = b"", False, time.monotonic() + SECONDS
        while time.monotonic() < until:
            ready = select.select([terminal], [], [], 0.01)[0]
            try:
                more = os.read(terminal, 4096) if ready else b""
            except OSError:  # the other end is closed
                break
            if ready and not more:
                break
            text += more
            if not sent and (b" of " in text if progress else child.poll() is None and catches(child.pid, number)):
                child.send_signal(number)
                sent = True
        os.close(terminal)
        if child.poll() is None:
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if sent and child.returncode != 0:
            break
    return child.returncode, text.decode(errors="replace")


def names(folder):
    return sorted(os.path.join(at, name) for at, _, files in os.walk(folder) for name in files)


def judge(folder, what, args, **how):
    before = names(folder)
    code, text = interrupted(folder, args, **how)
    check(f"{what}: the status of the signal", code == -signal.SIGINT, (code, text))
    check(f"{what}: one line", text.count("stopped by Ctrl-C") == 1 and text.endswith("Ctrl-C\r\n"), text)
    check(f"{what}: nothing is left", names(folder) == before, set(names(folder)) ^ set(before))


def calibration(folder):
    os.mkdir(os.path.join(folder, "cal"))
    for k, name in enumerate(sorted(n for n in os.listdir(EXAMPLES) if n.endswith(".jpg"))):
        shutil.copy(os.path.join(EXAMPLES, name), os.path.join(folder, "cal", f"{k}.jpg"))


@case
def quantizer(folder):
    calibration(folder)
    args = ("quantize", CHECKPOINT, "--calib", "cal", "-o", "q.kfx", "--report", "q.html")
    judge(folder, "quantize", args)
    code, text = interrupted(folder, args, number=signal.SIGTERM)
    check("SIGTERM: its status, without a line", code == -signal.SIGTERM and "Ctrl-C" not in text, (code, text))
    check("SIGTERM: nothing is left", len(names(folder)) == 5, names(folder))


@case
def configuration(folder):
    calibration(folder)
    subprocess.run([KITFOX, "simplify", CHECKPOINT, "--check", "0", "-o", os.path.join(folder, "m.onnx")], check=True,
                   stdout=subprocess.DEVNULL)
    with open(os.path.join(folder, "c.yaml"), "w", encoding="ascii") as f:
        f.write(YAML)
    judge(folder, "quantize CONFIG.yaml", ("quantize", "c.yaml"))


@case
def pictures(folder):
    shutil.copy(os.path.join(EXAMPLES, "frog.jpg"), folder)
    with open(os.path.join(folder, "labels.csv"), "w", encoding="ascii") as f:
        f.write("frog.jpg,6\n" * LINES)
    judge(folder, "eval", ("eval", "--data", ".", "--predictions", "p.csv", "--confusion", "c.html"))
    judge(folder, "compare", ("compare", "everyday10", CHECKPOINT, "--data", ".", "--list", "labels.csv", "--report",
                              "r.html"))


@case
def without_progress(folder):
    judge(folder, "import", ("import", CHECKPOINT, "-o", "i.kfx"), progress=False)
    judge(folder, "simplify", ("simplify", CHECKPOINT, "--check", "1000", "-o", "s.onnx"), progress=False)
    judge(folder, "bench", ("bench", "--frames", "1000000"), progress=False)


sys.exit(run_cases())
