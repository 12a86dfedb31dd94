"""Links to finished videos: followed without a key, through nginx, until they expire; changed in any byte
they lead nowhere. With an S3 store they lead to that store."""
import hashlib
import os
import subprocess
import time
import urllib.parse

import pytest

import s3
import stack

SECRET = "a secret of links that is long enough"


@pytest.fixture(scope="module")
def made():
    public = "https://videos.example.com"
    with stack.Stack(servers=1, workers=1, nginx=True, auth=True, env={"MISORA_LINK_SECRET": SECRET},
                     server_args=["--public-url", public]) as s:
        video = s.json("POST", "/v1/videos", {"prompt": "a red ball", "size": "64x64", "seconds": "1"})
        path = f"/v1/videos/{video['id']}"
        assert s.call("GET", path + "/url").json()["error"]["code"] == "video_not_ready"
        assert s.wait_for(video["id"])["status"] == "completed"
        yield s, path, public


def follow(s, link, public):
    assert link.startswith(public + "/media/")
    return stack.call(s.nginx_url, "GET", link[len(public):])


@pytest.mark.parametrize("variant", ["video", "thumbnail", "spritesheet"])
def test_a_link_needs_no_key(made, variant):
    s, path, public = made
    link = s.json("GET", f"{path}/url?variant={variant}&expires_in=60")
    assert link["object"] == "video.url" and abs(link["expires_at"] - time.time() - 60) < 10
    r = follow(s, link["url"], public)
    assert r.status == 200 and r.headers["content-type"] == link["content_type"]
    assert len(r.body) == link["bytes"] and hashlib.sha256(r.body).hexdigest() == link["sha256"]
    part = stack.call(s.nginx_url, "GET", link["url"][len(public):], headers={"range": "bytes=0-9"})
    assert part.status == 206 and part.body == r.body[:10]


def test_a_link_that_is_changed_leads_nowhere(made):
    s, path, public = made
    url = s.json("GET", f"{path}/url")["url"]
    start = url.index("/media/") + len("/media/")
    for at in range(start, len(url)):
        other = "1" if url[at] != "1" else "2"
        r = follow(s, url[:at] + other + url[at + 1:], public)
        assert r.status in (403, 404), (at, url[at], r.status)
    for cut in ("&sig=", "&exp=", "&tenant=", "variant="):
        assert follow(s, url[:url.index(cut)], public).status == 403
    again = url + "&exp=99999999999"
    assert follow(s, again, public).status == 403


def test_a_link_ends(made):
    s, path, public = made
    url = s.json("GET", f"{path}/url?expires_in=1")["url"]
    assert follow(s, url, public).status == 200
    r = stack.until(lambda: (r := follow(s, url, public)).status != 200 and r, seconds=10, say="the link went on")
    assert r.status == 403 and "expired" in r.json()["error"]["message"]
    for bad in ("0", "-1", "604801", "x", ""):
        assert s.call("GET", f"{path}/url?expires_in={bad}").status == 400


def test_without_a_secret_there_are_no_links_and_a_short_one_is_refused():
    with stack.Stack(servers=1) as s:
        r = s.call("GET", "/v1/videos/video_0190a0a0a0a07000800000000000abcd/url")
        assert r.status == 400 and r.json()["error"]["code"] == "unsupported_operation"
        assert s.call("GET", "/media/video_0190a0a0a0a07000800000000000abcd?sig=x").status == 403
    p = subprocess.run([stack.BUILD / "misora-server", "--check-config"], env={**os.environ, "MISORA_LINK_SECRET": "short"},
                       capture_output=True, text=True, check=False)
    assert p.returncode == 78 and "link_secret has 5 bytes; need 24" in p.stderr


def test_with_s3_the_link_leads_to_the_store():
    with s3.Server() as server:
        env = {"MISORA_S3_ENDPOINT": server.url, "MISORA_S3_BUCKET": s3.BUCKET, "MISORA_S3_ACCESS_KEY": s3.KEY,
               "MISORA_S3_SECRET_KEY": s3.SECRET}
        with stack.Stack(servers=1, workers=1, env=env) as s:
            video = s.json("POST", "/v1/videos", {"prompt": "a red ball", "size": "64x64", "seconds": "1"})
            assert s.wait_for(video["id"])["status"] == "completed"
            link = s.json("GET", f"/v1/videos/{video['id']}/url")
            parts = urllib.parse.urlsplit(link["url"])
            assert link["url"].startswith(server.url) and "X-Amz-Signature=" in parts.query
            r = stack.call(server.url, "GET", f"{parts.path}?{parts.query}")
            assert r.status == 200 and hashlib.sha256(r.body).hexdigest() == link["sha256"]
            other = parts.query[:-1] + ("1" if parts.query[-1] == "0" else "0")
            assert stack.call(server.url, "GET", f"{parts.path}?{other}").status == 403
