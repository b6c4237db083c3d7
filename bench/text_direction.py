# Accuracy of ch_ppocr_mobile_v2.0_cls (is a line of text upright or upside down?) in float and in 8 bits, on rendered lines.
# usage: text_direction.py KITFOX MODEL.onnx FOLDER [LINES]; needs numpy, Pillow, onnx, onnxruntime and fonts (fonts-dejavu, fonts-liberation, fonts-freefont-ttf).
# Lines: 48 pixels high, ratio kept, at most 192 wide, padded right with the value that normalizes to zero, as the model's exporter does.
import glob
import json
import os
import subprocess
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

WORDS = ("invoice total street market river coffee Tuesday number balance open paper garden window north station receipt quality "
         "Kitchen LIMITED exit delivery account Bread winter Harbour signal museum bridge orange ticket SALE thank you please").split()
HEIGHT, WIDTH, CALIBRATION = 48, 192, 200


def text_of(random):
    kind = random.integers(4)
    if kind == 0:
        return f"{random.integers(1, 9999)}.{random.integers(0, 99):02d} {random.choice(['EUR', 'kg', 'USD', 'pcs'])}"
    if kind == 1:
        return f"{random.integers(1, 29)}/{random.integers(1, 13)}/20{random.integers(10, 30)} No.{random.integers(100, 99999)}"
    return " ".join(random.choice(WORDS, random.integers(1, 5)))


def line(random, fonts):
    """One line of text as a detector would cut it out: any colours with some contrast, a little tilt, blur and noise."""
    font = ImageFont.truetype(fonts[random.integers(len(fonts))], int(random.integers(18, 56)))
    text = text_of(random)
    left, top, right, bottom = font.getbbox(text)
    margin = random.integers(1, 8, 4)
    size = (int(right - left + margin[0] + margin[2]), int(bottom - top + margin[1] + margin[3]))
    while True:
        ground, ink = random.integers(0, 256, 3), random.integers(0, 256, 3)
        if abs(ground.mean() - ink.mean()) > 60:
            break
    image = Image.new("RGB", size, tuple(int(v) for v in ground))
    ImageDraw.Draw(image).text((margin[0] - left, margin[1] - top), text, font=font, fill=tuple(int(v) for v in ink))
    image = image.rotate(random.uniform(-2, 2), Image.Resampling.BILINEAR, fillcolor=tuple(int(v) for v in ground))
    if random.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(random.uniform(0, 1.5)))
    pixels = np.asarray(image, np.float64) + random.normal(0, random.uniform(0, 20), (size[1], size[0], 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def fit(image):
    width = min(WIDTH, max(1, int(np.ceil(HEIGHT * image.width / image.height))))
    out = Image.new("RGB", (WIDTH, HEIGHT), (128, 128, 128))
    out.paste(image.resize((width, HEIGHT), Image.Resampling.BILINEAR), (0, 0))
    return out


def render(folder, lines):
    fonts = sorted(f for d in ("dejavu", "liberation", "freefont") for f in glob.glob(f"/usr/share/fonts/truetype/{d}/*.ttf") if "Math" not in f)
    random = np.random.default_rng(7)
    if os.path.isdir(os.path.join(folder, "test")):  # of an earlier run
        return len(fonts)
    for part, count in (("calib", CALIBRATION), ("test", lines)):
        for label in ("0", "180"):
            os.makedirs(os.path.join(folder, part, label), exist_ok=True)
        for i in range(count):
            image = line(random, fonts)
            fit(image.rotate(180) if i % 2 else image).save(os.path.join(folder, part, "180" if i % 2 else "0", f"{i:05d}.png"), compress_level=1)
    return len(fonts)


def load(folder, swap):
    files = sorted(glob.glob(os.path.join(folder, "*", "*.png")))
    x = np.stack([np.asarray(Image.open(f)) for f in files])
    x = ((x[..., ::-1] if swap else x).astype(np.float32) / 255 - 0.5) / 0.5
    return x.transpose(0, 3, 1, 2).copy(), np.array([os.path.basename(os.path.dirname(f)) == "180" for f in files], int)


def answers(model, x):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    s = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return np.concatenate([s.run(None, {s.get_inputs()[0].name: x[i:i + 1]})[0] for i in range(len(x))])


def peer(model, folder, x):
    """ONNX Runtime's static quantizer, min-max ranges, weights per channel, u8 activations, signed weights."""
    import onnx
    import onnx.version_converter
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static, shape_inference

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.rows = iter([{"x": x[i:i + 1]} for i in range(len(x))])

        def get_next(self):
            return next(self.rows, None)

    ready, out = os.path.join(folder, "ready.onnx"), os.path.join(folder, "peer.onnx")
    onnx.save(onnx.version_converter.convert_version(onnx.load(model), 13), ready)  # scales per channel need opset 13
    shape_inference.quant_pre_process(ready, ready)
    quantize_static(ready, out, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    return out


def kitfox(program, *args):
    r = subprocess.run([program, *args, "--json"], capture_output=True, text=True)
    if r.returncode:
        sys.exit(r.stderr)
    return json.loads(r.stdout.splitlines()[-1])


def report(name, float_scores, scores, truth):
    same = 100 * np.mean(float_scores.argmax(1) == scores.argmax(1))
    print(f"{name}: {100 * np.mean(scores.argmax(1) == truth):.2f} % right, {same:.2f} % as float", flush=True)


def main():
    program, model, folder = sys.argv[1:4]
    lines = int(sys.argv[4]) if len(sys.argv) > 4 else 2400
    print(f"{lines} lines in {render(folder, lines)} fonts, {CALIBRATION} others calibrate")
    orders = {}
    for swap in (False, True):
        x, truth = load(os.path.join(folder, "test"), swap)
        orders[swap] = answers(model, x)
        report(f"float, ONNX Runtime, {'BGR' if swap else 'RGB'}", orders[swap], orders[swap], truth)
    x, truth = load(os.path.join(folder, "test"), False)
    calib, _ = load(os.path.join(folder, "calib"), False)
    report("int8, ONNX Runtime static, RGB", orders[False], answers(peer(model, folder, calib), x), truth)
    labels, single, int8 = (os.path.join(folder, n) for n in ("labels.txt", "float.kfx", "int8.kfx"))
    open(labels, "w").write("0\n180\n")
    kitfox(program, "import", model, "--input-shape", f"1x3x{HEIGHT}x{WIDTH}", "--mean", "0.5", "--std", "0.5", "--crop-pct", "1", "--labels", labels, "-o", single)
    kitfox(program, "quantize", single, "--calib", os.path.join(folder, "calib"), "-o", int8)
    for name, m in (("float", single), ("int8", int8)):
        print(f"{name}, KitFox, RGB: {kitfox(program, 'eval', m, '--data', os.path.join(folder, 'test'))}")
    print("KitFox int8 with float:", kitfox(program, "compare", single, int8, "--data", os.path.join(folder, "test")))


if __name__ == "__main__":
    main()
