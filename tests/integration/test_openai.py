"""The official OpenAI clients, unchanged, pointed at the stack by base_url: through nginx and two
servers, with an API key."""
import os
import pathlib
import subprocess

import pytest
from openai import BadRequestError, NotFoundError, AuthenticationError, OpenAI

from picture import Receiver, png
from stack import Stack, until

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
PROMPT = "a red ball bounces in a green meadow"


@pytest.fixture(scope="module")
def stack():
    with Stack(servers=2, workers=1, nginx=True, auth=True,
               server_args=["--webhook-http", "--webhook-private"],
               worker_args=["--webhook-http", "--webhook-private"],
               env={"MISORA_WEBHOOK_SECRET": SECRET}) as s:
        yield s


@pytest.fixture(scope="module")
def client(stack):
    return OpenAI(base_url=stack.url + "/v1", api_key=stack.key)


@pytest.fixture(scope="module")
def finished(client):
    return client.videos.create_and_poll(model="sora-2", prompt=PROMPT, seconds="4", size="1280x720")


def test_create_and_poll_ends_completed(finished):
    assert finished.status == "completed" and finished.progress == 100
    assert finished.size == "1280x720" and finished.seconds == "4" and finished.prompt == PROMPT
    assert finished.error is None and finished.completed_at >= finished.created_at


def test_every_variant_downloads(client, finished, tmp_path):
    for variant, magic in (("video", b"ftyp"), ("thumbnail", b"WEBP"), ("spritesheet", b"")):
        path = tmp_path / variant
        client.videos.download_content(finished.id, variant=variant).write_to_file(path)
        assert magic in path.read_bytes()[:16] and path.stat().st_size > 500, variant


def test_the_clip_is_a_faststart_mp4_of_the_asked_size(client, finished, tmp_path):
    path = tmp_path / "clip.mp4"
    client.videos.download_content(finished.id).write_to_file(path)
    data = path.read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")
    out = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-show_entries",
         "stream=codec_name,pix_fmt,width,height,nb_read_frames", "-of", "csv=p=0", str(path)],
        capture_output=True, text=True, check=True).stdout.strip().split(",")
    assert out[0] == "h264" and out[1:3] == ["1280", "720"] and out[3] == "yuv420p", out
    assert int(out[4]) >= 33, out


def test_an_image_file_makes_a_video(client, tmp_path):
    path = tmp_path / "frame.png"
    path.write_bytes(png())
    with open(path, "rb") as f:
        video = client.videos.create(prompt=PROMPT, model="sora-2", input_reference=f, seconds="4",
                                     extra_body={"steps": 2})
    assert client.videos.poll(video.id).status == "completed"


def test_the_list_pages_by_one(client):
    made = [client.videos.create(prompt=f"{PROMPT} {i}", extra_body={"steps": 1, "num_frames": 5}).id
            for i in range(3)]
    seen = [v.id for v in client.videos.list(limit=1)]
    assert set(made) <= set(seen) and len(seen) == len(set(seen))
    oldest_first = [v.id for v in client.videos.list(limit=1, order="asc")]
    assert oldest_first == seen[::-1]


def test_retrieve_and_delete(client):
    video = client.videos.create(prompt=PROMPT, extra_body={"steps": 1, "num_frames": 5})
    assert client.videos.retrieve(video.id).id == video.id
    client.videos.poll(video.id)
    gone = client.videos.delete(video.id)
    assert gone.deleted and gone.id == video.id and gone.object == "video.deleted"
    with pytest.raises(NotFoundError):
        client.videos.retrieve(video.id)


def test_refusals_carry_words_param_and_request_id(client, stack):
    with pytest.raises(BadRequestError) as e:
        client.videos.create(prompt="")
    assert e.value.param == "prompt" and e.value.request_id
    with pytest.raises(BadRequestError) as e:
        client.videos.create(prompt=PROMPT, size="127x80")
    assert e.value.param == "size" and "127x80" in e.value.message
    with pytest.raises(AuthenticationError):
        OpenAI(base_url=stack.url + "/v1", api_key="mis_live_wrong").videos.list()


def test_a_webhook_unwraps(client, stack):
    assert stack.json("GET", "/v1/webhooks/default/secret")["key"] == SECRET
    with Receiver() as hook:
        video = client.videos.create(prompt=PROMPT, extra_body={
            "steps": 1, "num_frames": 5, "webhook_url": hook.url})
        until(lambda: hook.calls, 90, "the webhook came")
        headers, body = hook.calls[0]
        event = client.webhooks.unwrap(body, headers, secret=SECRET)
        assert event.type == "video.completed" and event.data.id == video.id


SMALL = {"steps": 1, "num_frames": 13, "size": "128x80"}


@pytest.fixture(scope="module")
def clip(client, tmp_path_factory):
    """A short finished video and its file."""
    video = client.videos.poll(client.videos.create(prompt=PROMPT, extra_body=SMALL).id)
    assert video.status == "completed", video
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    client.videos.download_content(video.id).write_to_file(path)
    return video.id, path


def test_a_video_is_remixed(client, clip):
    video = client.videos.remix(clip[0], prompt="a blue ball", extra_body={"steps": 1})
    assert video.remixed_from_video_id == clip[0] and video.size == "128x80"
    assert client.videos.poll(video.id).status == "completed"


def test_a_video_is_edited_by_id_and_by_file(client, clip):
    by_id = client.videos.edit(prompt="a blue ball", video=clip[1].read_bytes(), extra_body={"steps": 1})
    with open(clip[1], "rb") as f:
        by_file = client.videos.edit(prompt="a blue ball", video=f, extra_body={"steps": 1})
    for video in (by_id, by_file):
        assert client.videos.poll(video.id).status == "completed"
    with pytest.raises(BadRequestError) as e:
        client.videos.edit(prompt="x", video=b"no video at all")
    assert e.value.param == "video" and e.value.code == "invalid_media"


def test_a_video_is_extended(client, clip, stack):
    with open(clip[1], "rb") as f:
        video = client.videos.extend(prompt=PROMPT, seconds="4", video=f, extra_body={"steps": 1})
    ours = stack.json("POST", "/v1/videos/extensions", {"prompt": PROMPT, "seconds": "4", "steps": 1,
                                                        "video": {"id": clip[0]}})
    for made in (video.id, ours["id"]):
        done = client.videos.poll(made)
        assert done.status == "completed" and done.seconds == "5", "the total of the stitched clip"


def test_a_character_is_made_and_used(client, clip):
    with open(clip[1], "rb") as f:
        character = client.videos.create_character(name="Bo", video=f, extra_body={"description": "a red ball"})
    assert character.id.startswith("char_") and character.name == "Bo" and character.created_at > 0
    assert client.videos.get_character(character.id).to_dict() == character.to_dict()
    video = client.videos.create(prompt="Bo bounces", extra_body={**SMALL, "characters": [{"id": character.id}]})
    assert video.revised_prompt == "a red ball bounces" and client.videos.poll(video.id).status == "completed"
    with pytest.raises(BadRequestError) as e:
        client.videos.create(prompt="x", extra_body={"characters": [{"id": character.id}] * 2})
    assert e.value.code == "unsupported_operation" and "one" in e.value.message
    with pytest.raises(NotFoundError):
        client.videos.create(prompt="x", extra_body={"characters": [{"id": "char_" + "0" * 32}]})
    with pytest.raises(NotFoundError):
        client.videos.get_character("char_" + "0" * 32)


def test_pictures_are_generated(client):
    import base64
    reply = client.images.generate(prompt=PROMPT, model="sora-2", n=2, size="1024x1024", extra_body={"steps": 1})
    assert len(reply.data) == 2 and base64.b64decode(reply.data[0].b64_json)[:4] == b"\x89PNG"
    assert reply.output_format == "png" and reply.usage.total_tokens == 0
    events = list(client.images.generate(prompt=PROMPT, model="sora-2", stream=True, extra_body={"steps": 1, "size": "128x80"}))
    assert [e.type for e in events] == ["image_generation.completed"] and len(events[0].b64_json) > 100


def test_files_are_kept_named_and_deleted(client, clip, tmp_path):
    path = tmp_path / "frame.png"
    path.write_bytes(png())
    with open(path, "rb") as f:
        made = client.files.create(file=f, purpose="vision")
    assert made.filename == "frame.png" and made.bytes == len(png()) and made.purpose == "vision"
    assert client.files.retrieve(made.id) == made and made.id in [f.id for f in client.files.list()]
    assert client.files.content(made.id).content == png()
    video = client.videos.create(prompt=PROMPT, extra_body={**SMALL, "input_reference": {"file_id": made.id}})
    assert client.videos.poll(video.id).status == "completed"
    assert client.files.delete(made.id).deleted
    with pytest.raises(NotFoundError):
        client.files.retrieve(made.id)


def test_each_tenant_learns_its_own_webhook_secret():
    with Stack(auth=True) as s:
        mine = s.json("GET", "/v1/webhooks/default/secret")["key"]
        other = s.add_key("somebody-else")
        theirs = s.json("GET", "/v1/webhooks/default/secret", headers={"authorization": f"Bearer {other}"})["key"]
        assert mine.startswith("whsec_") and theirs.startswith("whsec_") and mine != theirs
        assert s.json("GET", "/v1/webhooks/default/secret")["key"] == mine


def node_major() -> int:
    p = subprocess.run(["node", "--version"], capture_output=True, text=True)
    return int(p.stdout.lstrip("v").split(".")[0]) if p.returncode == 0 else 0


@pytest.mark.skipif(node_major() < 20, reason="the OpenAI Node client needs Node 20 or newer")
def test_the_node_client(stack, tmp_path):
    image = tmp_path / "frame.png"
    image.write_bytes(png())
    script = pathlib.Path(__file__).with_name("openai_client.mjs")
    p = subprocess.run(["node", str(script), stack.url, stack.key, str(image)], capture_output=True,
                       text=True, timeout=400, env={**os.environ, "no_proxy": "*"})
    assert p.returncode == 0 and "done" in p.stdout, p.stdout + p.stderr
