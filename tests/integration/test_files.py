"""/v1/files: sent once, named many times; and what is refused."""
import pytest

from operations import data_url
from picture import png
from rawhttp import form
from stack import Stack

FORM = {"content-type": "multipart/form-data; boundary=XYZ"}
CLIP = b"\0\0\0\x18ftypmp42" + b"\0" * 300


@pytest.fixture(scope="module")
def stack():
    with Stack(nginx=True) as s:
        yield s


def send(stack, data, name="frame.png", purpose="vision", **more):
    body = form(("purpose", purpose), *more.items(), ("file", data, name))
    return stack.call("POST", "/v1/files", body, FORM)


def test_a_file_comes_back_as_it_went_in(stack):
    made = send(stack, png()).json()
    assert list(made) == ["id", "object", "bytes", "created_at", "expires_at", "filename", "purpose", "status"]
    assert made["object"] == "file" and made["bytes"] == len(png()) and made["filename"] == "frame.png"
    assert made["expires_at"] - made["created_at"] == 30 * 86400 and made["status"] == "processed"
    assert stack.json("GET", f"/v1/files/{made['id']}") == made
    content = stack.call("GET", f"/v1/files/{made['id']}/content")
    assert content.body == png() and content.headers["content-type"] == "image/png"
    part = stack.call("GET", f"/v1/files/{made['id']}/content", headers={"range": "bytes=1-3"})
    assert part.status == 206 and part.body == b"PNG"
    assert stack.json("DELETE", f"/v1/files/{made['id']}") == {"id": made["id"], "object": "file", "deleted": True}
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/content")):
        assert stack.call(method, f"/v1/files/{made['id']}{path}").status == 404


def test_the_same_bytes_are_kept_once_and_listed_twice(stack):
    ids = [send(stack, png(70, 70)).json()["id"] for _ in range(2)]
    page = stack.json("GET", "/v1/files?limit=1")
    assert [f["id"] for f in page["data"]] == ids[1:] and page["has_more"] and page["last_id"] == ids[1]
    rest = stack.json("GET", f"/v1/files?limit=10000&after={ids[1]}")
    assert rest["data"][0]["id"] == ids[0] and not rest["has_more"]
    assert stack.json("GET", "/v1/files?order=asc")["last_id"] == ids[1]
    blobs = [p for p in (stack.dir / "store" / "obj" / "u").iterdir() if p.read_bytes() == png(70, 70)]
    assert len(blobs) == 1


@pytest.mark.parametrize("sent, kept", [
    ("../../etc/passwd", "passwd"), ("C:\\x\\y.png", "y.png"), ("a\"b<c>.png", "abc.png"), ("", "file"),
    ("日本.png", "日本.png"), ("x" * 300, "x" * 127), ("é" * 100, "é" * 63), ("..", ".."), ("con.", "con.")])
def test_a_name_is_only_a_name(stack, sent, kept):
    assert send(stack, png(), name=sent.replace('"', '\\"')).json()["filename"] == kept


def test_a_file_is_a_source(stack):
    picture, clip = send(stack, png()).json()["id"], send(stack, CLIP, "a.mp4", "user_data").json()["id"]
    video = stack.create(input_reference={"file_id": picture}, last_frame={"file_id": picture})
    assert video["status"] == "queued"
    edit = stack.json("POST", "/v1/videos/edits", {"prompt": "x", "video": {"file_id": clip}})
    assert edit["operation"] == "edit" and edit["remixed_from_video_id"] is None
    for ref, path, body in ((clip, "/v1/videos", {"input_reference": {"file_id": clip}}),
                            (picture, "/v1/videos/edits", {"video": {"file_id": picture}})):
        error = stack.call("POST", path, {"prompt": "x", **body}).json()["error"]
        assert error["code"] == "invalid_media" and ref in error["message"], error
    error = stack.call("POST", "/v1/videos", {"prompt": "x", "input_reference": {"file_id": "file-" + "0" * 32}})
    assert error.status == 404 and error.json()["error"]["param"] == "input_reference[file_id]"


@pytest.mark.parametrize("data, more, status, param", [
    (b"", {}, 400, "file"), (b"hello", {}, 400, "file"), (png(), {"purpose": "batch"}, 400, "purpose"),
    (png(), {"colour": "red"}, 400, "colour"), (png(), {"expires_after[seconds]": "5"}, 400, "expires_after[seconds]"),
    (b"#EXTM3U\nhttp://x", {}, 400, "file"), (b"\0\0\0\x18ftypheic" + b"\0" * 50, {}, 400, "file"),
])
def test_wrong_files_are_refused_in_words(stack, data, more, status, param):
    before = set((stack.dir / "store").rglob("*"))
    fields = {"purpose": "vision", **more}
    reply = stack.call("POST", "/v1/files", form(*fields.items(), ("file", data, "f")), FORM)
    assert (reply.status, reply.json()["error"]["param"]) == (status, param), reply
    assert set((stack.dir / "store").rglob("*")) == before, "nothing is left"


def test_what_is_missing_is_said(stack):
    for body, param in ((form(("purpose", "vision")), "file"), (form(("file", png(), "f")), "purpose"),
                        (form(("purpose", "vision"), ("file", "text")), "file")):
        reply = stack.call("POST", "/v1/files", body, FORM)
        assert reply.status == 400 and reply.json()["error"]["param"] == param, reply
    for query in ("limit=0", "after=x", "order=up"):
        assert stack.call("GET", "/v1/files?" + query).status == 400
    assert stack.call("GET", "/v1/files/nonsense").status == 404


def test_a_lifetime_may_be_chosen(stack):
    made = send(stack, png(), **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}).json()
    assert made["expires_at"] - made["created_at"] == 3600


def test_files_of_another_key_are_not_there():
    with Stack(auth=True) as s:
        made = send(s, png()).json()["id"]
        other = {"authorization": "Bearer " + s.add_key("somebody-else")}
        assert s.call("GET", f"/v1/files/{made}", headers=other).status == 404
        assert s.json("GET", "/v1/files", headers=other)["data"] == []
        body = {"prompt": "x", "input_reference": {"file_id": made}}
        assert s.call("POST", "/v1/videos", body, other).status == 404 and s.call("POST", "/v1/videos", body).status == 200


def test_a_data_url_and_a_file_are_one_blob(stack):
    before = len(list((stack.dir / "store" / "obj" / "u").iterdir()))
    picture = png(66, 66)
    send(stack, picture)
    stack.create(input_reference={"image_url": data_url(picture)})
    assert len(list((stack.dir / "store" / "obj" / "u").iterdir())) == before + 1
