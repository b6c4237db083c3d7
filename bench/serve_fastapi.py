"""The peer of bench/serve.sh: a service of FastAPI and ONNX Runtime as tutorials and users write it.

MODEL, MEAN, STD and SIZE are environment variables; THREADS is that of ONNX Runtime (0: its default, all cores).
"""

import io
import os

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI, File, UploadFile
from PIL import Image

options = ort.SessionOptions()
options.intra_op_num_threads = int(os.environ.get("THREADS", "0"))
session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
size = int(os.environ["SIZE"])
resize = int(os.environ["RESIZE"])
mean = np.array(os.environ["MEAN"].split(), np.float32)
std = np.array(os.environ["STD"].split(), np.float32)
app = FastAPI()


@app.get("/health")
def health():
    return {"ready": True}


@app.post("/classify")
async def classify(image: UploadFile = File(...)):
    picture = Image.open(io.BytesIO(await image.read())).convert("RGB")
    scale = resize / min(picture.size)
    picture = picture.resize([round(s * scale) for s in picture.size], Image.BILINEAR)
    left, top = ((s - size) // 2 for s in picture.size)
    picture = picture.crop((left, top, left + size, top + size))
    x = (np.asarray(picture, np.float32) / 255 - mean) / std
    scores = session.run(None, {name: x.transpose(2, 0, 1)[None]})[0][0]
    e = np.exp(scores - scores.max())
    p = e / e.sum()
    best = np.argsort(p)[::-1][:5]
    return {"top": [{"index": int(i), "score": float(p[i])} for i in best]}
