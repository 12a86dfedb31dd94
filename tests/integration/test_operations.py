"""Every operation once through the whole service, from its example in api-spec/examples/operations:
how long the result is, which frames come back, what the Video says of its sources, and refusals."""
import subprocess

import pytest

import operations
from operations import data_url, difference, frames, load
from picture import Receiver, png
from rawhttp import form
from sse import read_events
from stack import Stack, until

STEPS = 2
# Frames of the result, from those of {video} (n), of {video2} (m) and of a second (s).
FRAMES = {
    "text": lambda n, m, s: s + 1, "image": lambda n, m, s: s + 1, "last_frame": lambda n, m, s: s + 1,
    "edit": lambda n, m, s: n, "edit_words": lambda n, m, s: n, "edit_part": lambda n, m, s: n,
    "remix": lambda n, m, s: n,
    "extend_forward": lambda n, m, s: n + s, "extend_backward": lambda n, m, s: n + s,
    "extend_both": lambda n, m, s: n // 4 * 4 + 2 * s, "extend_bare": lambda n, m, s: s,
    "connect": lambda n, m, s: n + m + s,
    "loop": lambda n, m, s: s, "loop_video": lambda n, m, s: n + s,
}
KIND = {"text": "create", "image": "create", "last_frame": "create", "remix": "edit"}


@pytest.fixture(scope="module")
def stack():
    with Stack(workers=1, nginx=True, server_args=["--webhook-http", "--webhook-private"],
               worker_args=["--webhook-http", "--webhook-private"]) as s:
        yield s


@pytest.fixture(scope="module")
def known(stack):
    """What the examples stand on: two finished clips and three pictures."""
    made = [stack.json("POST", "/v1/videos", {"prompt": p, "seconds": "3", "steps": STEPS, "seed": 1,
                                             "size": "128x80"})["id"]
            for p in ("a red ball bounces in a green meadow", "a blue ball rolls over a grey road")]
    for job in made:
        done = stack.wait_for(job, 300)
        assert done["status"] == "completed", done
    return {"video": made[0], "video2": made[1], "picture": data_url(png()),
            "picture2": data_url(png(96, 96)), "mask": data_url(png(64, 64))}


def content(stack, job):
    reply = stack.call("GET", f"/v1/videos/{job}/content")
    assert reply.status == 200 and reply.headers["content-type"] == "video/mp4"
    return reply.body


def run(stack, name, known, **more):
    path, body = load(name, known)
    size = {} if "{video" in str(operations.raw(name)) else {"size": "128x80"}
    video = stack.json("POST", path, {**body, "steps": STEPS, **size, **more})
    assert video["operation"] == KIND.get(name, name.split("_")[0])
    return stack.wait_for(video["id"], 300)


def test_every_example_has_its_expectation():
    assert set(operations.names()) == set(FRAMES) | {"still"}  # which test_images.py has


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_an_operation_gives_what_it_promises(stack, known, name):
    video = run(stack, name, known)
    assert video["status"] == "completed", video
    sources = [stack.json("GET", f"/v1/videos/{known[k]}") for k in ("video", "video2")]
    n, m, second = sources[0]["num_frames"], sources[1]["num_frames"], int(sources[0]["fps"])
    assert video["num_frames"] == FRAMES[name](n, m, second), video
    body = load(name, known)[1]
    ids = [known[k] for k in ("video", "video2") if known[k] in str((body, load(name, known)[0]))]
    assert video["source_video_ids"] == ids
    assert video["remixed_from_video_id"] == (ids[0] if video["operation"] == "edit" else None)
    width, height = map(int, video["size"].split("x"))
    shown = frames(content(stack, video["id"]), width // 4, height // 4)
    assert len(shown) == video["num_frames"]
    if video["operation"] != "create":
        assert abs(len(shown) / video["fps"] - int(video["seconds"])) <= 0.5, "seconds is the total"
        assert not ids or video["size"] == stack.json("GET", f"/v1/videos/{ids[0]}")["size"]


@pytest.mark.parametrize("name, is_last", [("extend_forward", False), ("extend_backward", True), ("connect", False)])
def test_what_was_there_comes_back(stack, known, name, is_last):
    """Frames of the source stand unchanged in the result, but for one more coding by H.264."""
    made = stack.json("GET", f"/v1/videos/{run(stack, name, known)['id']}")
    width, height = map(int, made["size"].split("x"))
    old = frames(content(stack, known["video"]), width // 4, height // 4)
    new = frames(content(stack, made["id"]), width // 4, height // 4)
    shift = int(made["fps"]) if is_last else 0
    for i in range(4, len(old)) if is_last else range(len(old) - 4):  # next to a seam they fade
        assert difference(old[i], new[i + shift]) < 2, (i, difference(old[i], new[i + shift]))


@pytest.mark.parametrize("name", ["loop", "loop_video"])
def test_a_loop_says_how_well_it_closes(stack, known, name):
    video = run(stack, name, known)
    shown = frames(content(stack, video["id"]), 32, 20)
    seam = difference(shown[-1], shown[0]) / 255
    assert 0 < video["loop"]["neighbour_error"] < 0.5 and abs(video["loop"]["seam_error"] - seam) < 0.03
    assert "loop" not in stack.json("GET", f"/v1/videos/{known['video']}")


@pytest.mark.parametrize("ask, size", [
    ({"aspect_ratio": "16:9"}, "1280x720"), ({"aspect_ratio": "9:16", "resolution": "1080p"}, "1080x1920"),
    ({"resolution": "1080p"}, "1920x1080"), ({"aspect_ratio": "1:1", "resolution": "480p"}, "480x480"),
    ({"aspect_ratio": "21:9", "resolution": "240p"}, "560x240")])
def test_a_size_may_be_shape_and_lines(waiting, ask, size):
    assert waiting[0].json("POST", "/v1/videos", {"prompt": "x", **ask})["size"] == size


def test_full_hd_comes_out_in_its_exact_size(stack):
    for size in ("1920x1080", "1080x1920"):
        video = stack.json("POST", "/v1/videos", {"prompt": "a red ball", "size": size, "num_frames": 5, "steps": 1})
        done = stack.wait_for(video["id"], 300)
        assert done["status"] == "completed" and "scaled to " + size in done["warnings"][0], done
        path = stack.dir / "hd.mp4"
        path.write_bytes(content(stack, video["id"]))
        out = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0:s=x", path],
                             capture_output=True, text=True, check=True).stdout.strip()
        assert out == size


def test_uploads_are_sources_too(stack, known):
    clip = content(stack, known["video"])
    for ask in ({"url": data_url(clip, "video/mp4")},):
        video = stack.json("POST", "/v1/videos/extensions",
                           {"prompt": "on", "seconds": "1", "steps": STEPS, "video": ask})
        assert video["size"] == "auto" and video["source_video_ids"] == []
        done = stack.wait_for(video["id"], 300)
        source = stack.json("GET", f"/v1/videos/{known['video']}")
        assert done["status"] == "completed", done
        assert done["num_frames"] == source["num_frames"] + source["fps"] and done["size"] == source["size"]


def test_a_clip_comes_as_a_file_part(stack, known):
    clip = content(stack, known["video"])
    headers = {"content-type": "multipart/form-data; boundary=XYZ"}
    body = form(("prompt", "on"), ("seconds", "1"), ("steps", str(STEPS)), ("video", clip, "clip.bin"))
    before = len(list((stack.dir / "store" / "obj" / "u").glob("*.mp4")))
    jobs = [stack.call("POST", "/v1/videos/extensions", body, headers).json()["id"] for _ in range(2)]
    assert len(list((stack.dir / "store" / "obj" / "u").glob("*.mp4"))) <= before + 1, "one blob"
    for job in jobs:
        assert stack.wait_for(job, 300)["status"] == "completed"


def test_another_size_and_rate_are_conformed(stack, known):
    video = run(stack, "extend_forward", known, size="640x360", fps=24)
    source = stack.json("GET", f"/v1/videos/{known['video']}")
    assert video["status"] == "completed" and video["size"] == "640x360" and video["fps"] == 24
    seconds = source["num_frames"] / source["fps"] + 1
    assert abs(video["num_frames"] - seconds * 24) <= 2 and video["warnings"]
    assert len(frames(content(stack, video["id"]), 32, 18)) == video["num_frames"]


def test_an_operation_streams_events_and_calls_its_webhook(stack, known):
    with Receiver() as hook:
        path, body = load("extend_forward", known)
        job = stack.json("POST", path, {**body, "steps": STEPS, "webhook_url": hook.url})["id"]
        kinds = [e[1] for e in read_events(stack, job, seconds=60)]
        assert kinds[-1] == "video.completed"
        stack.wait_for(job)
        until(lambda: hook.calls, 60, "the webhook came")


REFUSALS = [
    ("/v1/videos/edits", {"prompt": "x"}, 400, "video", "missing_required_parameter"),
    ("/v1/videos/edits", {"video": {"id": "{video}"}}, 400, "prompt", "missing_required_parameter"),
    ("/v1/videos/edits", {"prompt": "x", "video": {"id": "{video}"}, "strength": 2}, 400, "strength", "invalid_value"),
    ("/v1/videos/edits", {"prompt": "x", "video": {"id": "{video}"}, "method": "magic"}, 400, "method", "invalid_value"),
    ("/v1/videos/edits", {"prompt": "x", "video": {"id": "{video}"}, "seconds": "4"}, 400, "seconds", "unknown_parameter"),
    ("/v1/videos/edits", {"prompt": "x", "video": {"id": "{video}"}, "start_seconds": 2, "end_seconds": 1},
     400, "end_seconds", "invalid_value"),
    ("/v1/videos/edits", {"prompt": "x", "video": {"id": "{video}"}, "source_prompt": "y"}, 400, "source_prompt", "invalid_value"),
    ("/v1/videos/edits", {"prompt": "x", "video": "{video}"}, 400, "video", "invalid_type"),
    ("/v1/videos/edits", {"prompt": "x", "video": {}}, 400, "video", "missing_required_parameter"),
    ("/v1/videos/edits", {"prompt": "x", "video": {"name": "y"}}, 400, "video[name]", "unknown_parameter"),
    ("/v1/videos/edits", {"prompt": "x", "video": {"id": "nonsense"}}, 404, "video[id]", "video_not_found"),
    ("/v1/videos/edits", {"prompt": "x", "video": {"id": "video_" + "0" * 32}}, 404, "video[id]", "video_not_found"),
    ("/v1/videos/edits", {"prompt": "x", "video": {"id": "{waiting}"}}, 409, "video[id]", "source_not_completed"),
    ("/v1/videos/edits", {"prompt": "x", "video": {"url": "http://127.0.0.1/x.mp4"}}, 400, "video[url]",
     "unsupported_operation"),
    ("/v1/videos/edits", {"prompt": "x", "video": {"url": "{picture}"}}, 400, "video[url]", "invalid_media"),
    ("/v1/videos/extensions", {"prompt": "x", "video": {"id": "{video}"}}, 400, "seconds", "missing_required_parameter"),
    ("/v1/videos/extensions", {"prompt": "x", "video": {"id": "{video}"}, "seconds": "61"}, 400, "seconds", "invalid_value"),
    ("/v1/videos/extensions", {"prompt": "x", "video": {"id": "{video}"}, "seconds": "1", "direction": "up"},
     400, "direction", "invalid_value"),
    ("/v1/videos/extensions", {"prompt": "x", "video": {"id": "{video}"}, "seconds": "60", "direction": "both"},
     400, "seconds", "invalid_value"),
    ("/v1/videos/extensions", {"prompt": "x", "video": {"id": "{video}"}, "seconds": "1", "direction": "both", "stitch": False},
     400, "stitch", "invalid_value"),
    ("/v1/videos/connections", {"first_video": {"id": "{video}"}}, 400, "second_video", "missing_required_parameter"),
    ("/v1/videos/connections", {"second_video": {"id": "{video}"}}, 400, "first_video", "missing_required_parameter"),
    ("/v1/videos/loops", {"seconds": "1"}, 400, "video", "missing_required_parameter"),
    ("/v1/videos", {"prompt": "x", "aspect_ratio": "wide"}, 400, "aspect_ratio", "invalid_value"),
    ("/v1/videos", {"prompt": "x", "resolution": "4k"}, 400, "resolution", "invalid_value"),
    ("/v1/videos", {"prompt": "x", "resolution": "720p", "size": "128x80"}, 400, "size", "invalid_value"),
    ("/v1/videos", {"prompt": "x", "direction": "forward"}, 400, "direction", "unknown_parameter"),
    ("/v1/videos", {"prompt": "x", "loop": True, "last_frame": {"image_url": "{picture}"}}, 400, "loop", "invalid_value"),
    ("/v1/videos/video_" + "0" * 32 + "/remix", {"prompt": "x"}, 404, "id", "video_not_found"),
]


@pytest.fixture(scope="module")
def waiting(known):
    """A second service without a worker: its videos stay queued."""
    with Stack() as s:
        yield s, {**known, "waiting": s.create()["id"]}


@pytest.mark.parametrize("path, body, status, param, code", REFUSALS, ids=lambda v: v if isinstance(v, str) else None)
def test_a_wrong_request_is_refused_in_words(stack, waiting, known, path, body, status, param, code):
    s, names = waiting if "waiting" in str(body) else (stack, known)
    reply = s.call("POST", path, operations.fill(body, names))
    error = reply.json()["error"]
    assert (reply.status, error["param"], error["code"]) == (status, param, code), reply
    assert len(error["message"]) > 15
    if status == 409:
        assert reply.headers["x-should-retry"] == "false"


def test_a_source_that_cannot_be_decoded_fails_in_words(stack):
    junk = b"\0\0\0\x18ftypmp42" + b"\0" * 500
    video = stack.json("POST", "/v1/videos/extensions", {
        "prompt": "on", "seconds": "1", "video": {"url": data_url(junk, "video/mp4")}})
    done = stack.wait_for(video["id"])
    assert done["status"] == "failed" and done["error"]["code"] == "invalid_media", done
    assert done["size"] == "auto" and len(done["error"]["message"]) > 15


def test_a_clip_that_is_too_short_is_refused_in_words(stack, known):
    short = stack.json("POST", "/v1/videos", {"prompt": "x", "num_frames": 1, "steps": 1})["id"]
    assert stack.wait_for(short)["status"] == "completed"
    video = stack.json("POST", "/v1/videos/loops", {"video": {"id": short}, "seconds": "1", "steps": 1})
    done = stack.wait_for(video["id"])
    assert done["error"]["code"] == "invalid_media" and "8 are needed" in done["error"]["message"], done


def test_a_deleted_source_fails_the_job_in_words(stack):
    first = stack.json("POST", "/v1/videos", {"prompt": "x", "num_frames": 17, "steps": 1})["id"]
    assert stack.wait_for(first)["status"] == "completed"
    for path in (stack.dir / "store" / "obj" / "t" / first).iterdir():
        path.unlink()
    video = stack.json("POST", f"/v1/videos/{first}/remix", {"prompt": "y"})
    done = stack.wait_for(video["id"])
    assert done["error"]["code"] == "invalid_media" and first in done["error"]["message"], done


def test_ffprobe_reads_a_stitched_clip(stack, known, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(content(stack, run(stack, "connect", known)["id"]))
    out = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames,pix_fmt",
                          "-of", "csv=p=0", path], capture_output=True, text=True, check=True).stdout.strip()
    assert out.startswith("yuv420p,") and int(out.split(",")[1]) > 80
