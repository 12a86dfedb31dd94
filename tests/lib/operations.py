"""operations.py - the example request of every operation, as tests, docs and tables share them.

A file of api-spec/examples/operations/ holds {"about", "path", "body"}; texts of the form {name} in
it stand for what the caller made before: {video} and {video2} are ids of finished videos, {picture},
{picture2} and {mask} are data: URLs.
"""
import base64
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "api-spec" / "examples" / "operations"


def names():
    return sorted(p.stem for p in FOLDER.glob("*.json"))


def fill(value, known):
    if isinstance(value, dict):
        return {k: fill(v, known) for k, v in value.items()}
    if isinstance(value, str):
        for name, text in known.items():
            value = value.replace("{" + name + "}", text)
    return value


def raw(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def load(name, known):
    """(path, body) of one example."""
    example = raw(name)
    return fill(example["path"], known), fill(example["body"], known)


def data_url(data, kind="image/png"):
    return f"data:{kind};base64," + base64.b64encode(data).decode()


def frames(data, width, height):
    """The frames of a clip as a list of grey pictures (bytes)."""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", "pipe:0", "-vf", f"scale={width}:{height}",
                          "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1"],
                         input=data, capture_output=True, check=True).stdout
    n = width * height
    return [raw[i:i + n] for i in range(0, len(raw), n)]


def difference(a, b):
    """Mean absolute difference of two pictures, in levels of 255."""
    return sum(abs(x - y) for x, y in zip(a, b)) / len(a)
