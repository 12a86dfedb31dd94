"""`misora gen`: the engine alone. What is wrong is said in one line with its exit code, and nothing
half-done is left behind."""
import os
import pathlib
import signal
import subprocess
import time

import pytest

import picture

ROOT = pathlib.Path(__file__).resolve().parents[2]
MISORA = os.path.join(os.environ.get("MISORA_BUILD", ROOT / "build/release"), "misora")
USAGE, DATA, UNAVAILABLE = 64, 65, 69


def gen(*args, timeout=60):
    return subprocess.run([MISORA, "gen", *map(str, args)], cwd=ROOT, capture_output=True, text=True,
                          timeout=timeout)


# OUT stands for a file that can be written.
REFUSED = [
    ([], USAGE, "--prompt and -o are needed"),
    (["--prompt"], USAGE, "--prompt needs a value"),
    (["--prompt", "a"], USAGE, "--prompt and -o are needed"),
    (["--prompt", "--size", "-o", "OUT"], USAGE, "--prompt needs a value"),
    (["--prompt", "a", "--prompt", "b", "-o", "OUT"], USAGE, "--prompt is there twice"),
    (["--bogus", "1"], USAGE, "there is no flag --bogus"),
    (["--", "a"], USAGE, "there is no flag --"),
    (["--prompt", "a", "-o", "OUT", "--size", "101x100"], USAGE, "both sides must be even; near is 100x100"),
    (["--prompt", "a", "-o", "OUT", "--size", "100"], USAGE, "WIDTHxHEIGHT"),
    (["--prompt", "a", "-o", "OUT", "--size", "0x64"], USAGE, "WIDTHxHEIGHT"),
    (["--prompt", "a", "-o", "OUT", "--size", "64x99999999999"], USAGE, "WIDTHxHEIGHT"),
    (["--prompt", "a", "-o", "OUT", "--frames", "0"], USAGE, "a number from 1 to 3601"),
    (["--prompt", "a", "-o", "OUT", "--frames", "1e3"], USAGE, "a number from 1 to 3601"),
    (["--prompt", "a", "-o", "OUT", "--steps", "999"], USAGE, "a number from 1 to 200"),
    (["--prompt", "a", "-o", "OUT", "--guidance", "nan"], USAGE, "a number from 0 to 20"),
    (["--prompt", "a", "-o", "OUT", "--seed", "-1"], USAGE, "a whole number"),
    (["--prompt", "a", "-o", "OUT", "--solver", "dpm"], USAGE, "unipc, euler or renoise"),
    (["--prompt", "a", "-o", "OUT", "--precision", "f64"], USAGE, "f64"),
    (["--prompt", "a", "-o", "OUT", "--sigmas", "0.5,0.9"], USAGE, "the list must fall from 1 towards 0"),
    (["--prompt", "a", "-o", "OUT", "--sigmas", "0.5,x"], USAGE, "numbers with commas"),
    (["--prompt", "a", "-o", "OUT", "--guidance-interval", "0.3,0.9"], USAGE, "1 >= FROM > TO >= 0"),
    (["--prompt", "a", "-o", "OUT", "--keyframe", "a.png"], USAGE, "FRAME=FILE"),
    (["--prompt", "a", "-o", "OUT", "--video", "README.md", "--loop"], DATA, "README.md: the file is not a jpeg, png or webp image, nor an mp4"),
    (["--prompt", "a", "-o", "OUT.png", "--frames", "9"], USAGE, "a .png is one frame"),
    (["--prompt", "a", "-o", "OUT", "--device", "gpu"], USAGE, "cpu, cuda, cuda:N and ref exist"),
    (["--prompt", "a", "-o", "/tmp"], USAGE, "-o /tmp is not a file"),
    (["--prompt", "a", "-o", "/nowhere/x.mp4"], UNAVAILABLE, "/nowhere/x.mp4 cannot be written: No such file"),
    (["--prompt", "a", "-o", "/proc/x.mp4"], UNAVAILABLE, "/proc/x.mp4 cannot be written"),
    (["--prompt", "a", "-o", "OUT", "--model", "/nowhere"], DATA, "/nowhere/model_index.json: no such file"),
    (["--prompt", "a", "-o", "OUT", "--model", "README.md"], DATA, "README.md/model_index.json: no such file"),
    (["--prompt", "a", "-o", "OUT", "--image", "/nowhere.png"], DATA, "/nowhere.png cannot be opened: No such file"),
    (["--prompt", "a", "-o", "OUT", "--image", "README.md"], DATA, "README.md: the file is not a jpeg, png or webp"),
    (["--prompt", "a", "-o", "OUT", "--image", "/tmp"], DATA, "/tmp: what was sent is not a file"),
]


@pytest.mark.parametrize("args,code,text", REFUSED, ids=[" ".join(r[0])[:60] or "nothing" for r in REFUSED])
def test_what_cannot_be_done_is_said_in_one_line(tmp_path, args, code, text):
    r = gen(*[str(tmp_path / ("x" + (a[3:] or ".mp4"))) if a.startswith("OUT") else a for a in args])
    last = r.stderr.replace("\r", "\n").strip().split("\n")[-1]
    assert r.returncode == code, r.stderr
    assert last.startswith("misora gen: ") and text in last
    assert os.listdir(tmp_path) == []


def test_help_goes_to_stdout_and_names_every_flag():
    r = gen("--help")
    assert r.returncode == 0 and r.stderr == ""
    for flag in ("--prompt", "-o", "--image", "--size", "--steps", "--device"):
        assert flag in r.stdout


def test_a_picture_and_few_words_make_a_clip(tmp_path):
    (tmp_path / "a.png").write_bytes(picture.png())
    out = tmp_path / "x.mp4"
    out.write_bytes(b"an old file of that name")
    r = gen("--prompt", "a red ball", "--image", tmp_path / "a.png", "-o", out, "--size", "64x64", "--frames", 4,
            "--steps", 2)
    assert r.returncode == 0, r.stderr
    assert "64 x 64, 5 frames, seed 1" in r.stderr
    assert out.read_bytes()[4:8] == b"ftyp"
    assert sorted(os.listdir(tmp_path)) == ["a.png", "x.mp4"]


def test_lora_files_are_added_and_wrong_ones_are_refused(tmp_path):
    picture.lora(tmp_path / "a.safetensors")
    picture.lora(tmp_path / "b.safetensors", n=3)
    made = {}
    for name, flags in (("none", []), ("nothing", ["--lora", f"{tmp_path}/a.safetensors:0"]),
                        ("twice", ["--lora", f"{tmp_path}/a.safetensors,{tmp_path}/a.safetensors:0.5"])):
        out = tmp_path / (name + ".png")
        r = gen("--prompt", "a red ball", "-o", out, "--size", "64x64", "--steps", 1, *flags)
        assert r.returncode == 0, r.stderr
        made[name] = out.read_bytes()
    assert made["none"] == made["nothing"] and made["none"] != made["twice"]
    for flags, part in ((["--lora", tmp_path / "b.safetensors"], "b.safetensors: blocks.0.attn1.to_q.diff_b is [3]"),
                        (["--lora-late", tmp_path / "a.safetensors"], "no second transformer")):
        r = gen("--prompt", "a", "-o", tmp_path / "x.png", *flags)
        assert r.returncode != 0 and part in r.stderr, r.stderr


def test_an_interrupted_run_leaves_what_was_there(tmp_path):
    out = tmp_path / "x.mp4"
    out.write_bytes(b"an old file of that name")
    p = subprocess.Popen([MISORA, "gen", "--prompt", "a", "-o", str(out), "--steps", "200"], cwd=ROOT,
                         stderr=subprocess.PIPE)
    while p.poll() is None and not list(tmp_path.glob("*.part")):
        time.sleep(0.02)
    p.send_signal(signal.SIGINT)
    assert p.wait(30) == 130
    p.stderr.close()
    assert out.read_bytes() == b"an old file of that name"
    assert os.listdir(tmp_path) == ["x.mp4"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    out = tmp_path_factory.mktemp("clip") / "a.mp4"
    r = gen("--prompt", "a red ball", "-o", out, "--size", "64x64", "--frames", 17, "--steps", 2)
    assert r.returncode == 0, r.stderr
    return out


# Flags, and what the last line says of the result.
TASKS = [
    (["--extend", "forward", "--seconds", "0.5"], "64 x 64, 23 frames"),
    (["--extend", "backward", "--seconds", "0.5"], "64 x 64, 23 frames"),
    (["--extend", "both", "--seconds", "0.5"], "64 x 64, 28 frames"),
    (["--connect", "CLIP", "--seconds", "1"], "64 x 64, 46 frames"),
    (["--loop", "--seconds", "1"], "64 x 64, 29 frames"),
    (["--strength", "0.5"], "64 x 64, 17 frames"),
    (["--refine", "0.3"], "64 x 64, 17 frames"),
    (["--mask", "PICTURE"], "64 x 64, 17 frames"),
    (["--place", "32x32+16+16"], "64 x 64, 17 frames"),
    (["--flowedit", "a blue ball"], "64 x 64, 17 frames"),
]


@pytest.mark.parametrize("flags,said", TASKS, ids=[r[0][0] for r in TASKS])
def test_a_clip_is_worked_on(tmp_path, clip, flags, said):
    (tmp_path / "p.png").write_bytes(picture.png())
    names = {"CLIP": clip, "PICTURE": tmp_path / "p.png"}
    r = gen("--prompt", "a red ball", "--video", clip, "-o", tmp_path / "x.mp4", "--size", "64x64", "--steps", 3,
            *[names.get(a, a) for a in flags])
    assert r.returncode == 0, r.stderr
    assert said in r.stderr
    assert sorted(os.listdir(tmp_path)) == ["p.png", "x.mp4"]


@pytest.fixture(scope="module")
def vace(tmp_path_factory):
    """A mini model with a control branch: random weights, as in the goldens."""
    folder = tmp_path_factory.mktemp("vace")
    golden = ROOT / "tests/golden"
    for part in ("scheduler", "text_encoder", "tokenizer", "vae"):
        (folder / part).symlink_to(golden / "mini" / part)
    (folder / "transformer").symlink_to(golden / "pipelines/vace")
    (folder / "model_index.json").write_text("{}")
    return folder


def test_clips_to_follow_and_pictures_for_reference(tmp_path, clip, vace):
    (tmp_path / "p.png").write_bytes(picture.png(40, 100))
    flags = {"plain": [], "control": ["--control", clip], "reference": ["--reference", tmp_path / "p.png"] * 2,
             "all": ["--control", clip, "--reference", tmp_path / "p.png", "--image", tmp_path / "p.png"]}
    made = {}
    for name, more in flags.items():
        out = tmp_path / (name + ".mp4")
        r = gen("--prompt", "a red ball", "--model", vace, "-o", out, "--size", "64x64", "--frames", 9, "--steps", 1, *more)
        assert r.returncode == 0 and "64 x 64, 9 frames" in r.stderr, r.stderr
        made[name] = out.read_bytes()
    assert len(set(made.values())) == 4
    out = tmp_path / "x.mp4"
    for more, code, part in ((["--frames", 33, "--control", clip], USAGE, "the clip to follow has"),
                             (["--loop", "--frames", 9, "--reference", tmp_path / "p.png"], USAGE, "a loop has no place"),
                             (["--control", tmp_path / "p.png"], DATA, "p.png"),
                             (["--reference", clip], DATA, "a.mp4"),
                             (["--reference", tmp_path / "p.png"] * 9, USAGE, "more than 8 times")):
        r = gen("--prompt", "a", "--model", vace, "-o", out, "--size", "64x64", "--steps", 1, *more)
        assert r.returncode == code and part in r.stderr, r.stderr
    for flag, file in (("--control", clip), ("--reference", tmp_path / "p.png")):
        r = gen("--prompt", "a", "-o", out, flag, file)
        assert r.returncode == DATA and f"{flag}: misora-tiny cannot be told that; it is told a timestep per token" in r.stderr, r.stderr
    assert not out.exists()


def test_one_thing_is_done_with_a_clip(tmp_path, clip):
    for flags in ([], ["--loop", "--strength", "0.5"]):
        r = gen("--prompt", "a", "--video", clip, "-o", tmp_path / "x.mp4", *flags)
        assert r.returncode == USAGE and "--video takes one of --extend" in r.stderr


def test_one_frame_is_a_picture_and_sizes_off_the_grid_are_cut(tmp_path):
    r = gen("--prompt", "a red ball", "-o", tmp_path / "x.png", "--size", "130x70", "--steps", 2,
            "--preview", tmp_path / "p.png")
    assert r.returncode == 0, r.stderr
    assert "130 x 70, 1 frames" in r.stderr
    data = (tmp_path / "x.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) == (130, 70)


def test_a_new_loop_has_whole_latents(tmp_path):
    r = gen("--prompt", "a red ball", "-o", tmp_path / "x.mp4", "--size", "64x64", "--frames", 17, "--steps", 2, "--loop")
    assert r.returncode == 0, r.stderr
    assert "16 frames" in r.stderr and "from the last frame to the first" in r.stderr
