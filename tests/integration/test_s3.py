"""The S3 store: our client against a real S3 server whose gate checks every signature with AWS's own
code, its faults, and two hosts that share nothing but the bucket."""
import calendar
import hashlib
import os
import subprocess
import time

import boto3
import botocore.config
import pytest

import s3
import stack

UNIT = stack.BUILD / "tests" / "unit" / "test_s3"


@pytest.fixture(scope="module")
def server():
    with s3.Server() as it:
        yield it


@pytest.fixture(autouse=True)
def no_trick(server):
    server.gate.trick = lambda *a: None
    server.gate.clock_s = 0
    server.gate.seen.clear()


def unit(server, name):
    p = subprocess.run([UNIT, name], env={**os.environ, "MISORA_S3_URL": server.url}, capture_output=True, text=True,
                       check=False)
    assert p.returncode == 0 and " 0 failed, 0 skipped" in p.stdout, p.stdout + p.stderr


@pytest.mark.parametrize("name", ["objects_go_there", "large_objects", "a_link", "a_store_with_s3", "a_wrong_secret",
                                  "a_store_that_says_no"])
def test_the_client_does_what_it_promises(server, name):
    unit(server, name)
    assert server.uploads() == 0, "parts were left behind"


def once(what):
    """The trick `what` for the first request of each method and path."""
    met = set()

    def trick(method, path, headers):
        del headers
        if (method, path) in met or (method == "HEAD" and what[0] == 409):  # which no store says to a HEAD
            return None
        met.add((method, path))
        return what

    return trick


@pytest.mark.parametrize("trick", [(503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests"),
                                   (409, "OperationAborted"), s3.DROP], ids=str)
@pytest.mark.parametrize("name", ["objects_go_there", "large_objects"])
def test_what_passes_is_tried_again(server, name, trick):
    server.gate.trick = once(trick)
    unit(server, name)


def test_a_store_that_knows_no_conditions_is_used_without(server):
    server.gate.trick = lambda m, p, h: (501, "NotImplemented") if "if-none-match" in h else None
    unit(server, "a_link")


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_clock_that_is_off_is_set_by_the_reply(server, hours):
    def trick(method, path, headers):
        del method, path
        if "x-amz-date" not in headers:
            return None
        sent = calendar.timegm(time.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ"))
        return (403, "RequestTimeTooSkewed") if abs(sent - time.time() - 3600 * hours) > 300 else None

    server.gate.clock_s, server.gate.trick = 3600 * hours, trick
    unit(server, "objects_go_there")


def test_a_store_that_stays_down_ends_in_an_error(server):
    server.gate.trick = lambda *a: (503, "SlowDown")
    p = subprocess.run([UNIT, "a_link"], env={**os.environ, "MISORA_S3_URL": server.url}, capture_output=True,
                       text=True, check=False, timeout=60)
    assert p.returncode != 0 and "was answered 503 SlowDown" in p.stderr
    assert len(server.gate.seen) <= 20


def test_hosts_that_share_only_the_bucket_serve_each_others_files(server):
    """Server and worker each have a directory of their own; both are emptied on the way."""
    env = {"MISORA_S3_ENDPOINT": server.url, "MISORA_S3_BUCKET": s3.BUCKET, "MISORA_S3_PREFIX": "misora",
           "MISORA_S3_ACCESS_KEY": s3.KEY, "MISORA_S3_SECRET_KEY": s3.SECRET}
    with stack.Stack(servers=1, workers=0, env=env) as s:
        other = s.dir / "store-of-the-worker"
        s.worker_args += ["--store-dir", str(other)]
        s.start_worker(0)
        picture = make_png(s.dir)
        video = s.json("POST", "/v1/videos", {"prompt": "a red ball", "size": "64x64", "seconds": "1",
                                              "input_reference": {"image_url": picture}})
        done = s.wait_for(video["id"])
        assert done["status"] == "completed", done
        keys = server.keys()
        assert sum(k.startswith("misora/t/") for k in keys) == 3 and sum(k.startswith("misora/u/") for k in keys) == 1
        first = s.call("GET", f"/v1/videos/{video['id']}/content")
        assert first.status == 200 and first.headers["etag"].strip('"') == hashlib.sha256(first.body).hexdigest()
        assert any(other.glob("obj/u/*.png")), "the worker brought the picture from the bucket"
        assert s.call("DELETE", f"/v1/videos/{video['id']}").status == 200
        stack.until(lambda: not [k for k in server.keys() if k.startswith("misora/t/")], seconds=30,
                    say="the files of a deleted video did not leave the bucket")


def make_png(directory):
    import base64  # pylint: disable=import-outside-toplevel

    from PIL import Image  # pylint: disable=import-outside-toplevel
    Image.new("RGB", (64, 64), (200, 30, 30)).save(directory / "p.png")
    return "data:image/png;base64," + base64.b64encode((directory / "p.png").read_bytes()).decode()


def test_a_wrong_bucket_is_said_at_start(server):
    for name, more in (("server", ["--no-auth"]), ("worker", [])):
        p = subprocess.run([stack.BUILD / f"misora-{name}", *more, "--s3-endpoint", "http://127.0.0.1:1"],
                           env={**os.environ, "MISORA_S3_ACCESS_KEY": "a", "MISORA_S3_SECRET_KEY": "b"},
                           cwd="/tmp", capture_output=True, text=True, check=False, timeout=60)
        assert p.returncode == 78, p
        assert "the S3 store cannot be used" in p.stderr + p.stdout
        p = subprocess.run([stack.BUILD / f"misora-{name}", *more, "--s3-endpoint", "http://127.0.0.1:1",
                            "--check-config"], cwd="/tmp", capture_output=True, text=True, check=False, timeout=60)
        assert p.returncode == 78 and "s3_endpoint needs s3_region" in p.stderr + p.stdout
    del server


def test_a_finished_video_is_put_where_its_owner_says(server):
    """upload_url with a presigned PUT of botocore; what cannot be put is a warning, not an end."""
    client = boto3.client("s3", endpoint_url=server.url, aws_access_key_id=s3.KEY, aws_secret_access_key=s3.SECRET,
                          region_name=s3.REGION, config=botocore.config.Config(signature_version="s3v4"))
    link = client.generate_presigned_url("put_object", Params={"Bucket": s3.BUCKET, "Key": "mine/clip.mp4"},
                                         ExpiresIn=600)
    rules = ["--webhook-private"]
    with stack.Stack(servers=1, workers=1, server_args=rules, worker_args=rules) as s:
        ask = {"prompt": "a red ball", "size": "64x64", "seconds": "1"}
        video = s.json("POST", "/v1/videos", {**ask, "upload_url": link})
        bad = s.json("POST", "/v1/videos", {**ask, "upload_url": link.replace("clip.mp4", "other.mp4")})
        done = s.wait_for(video["id"])
        assert done["status"] == "completed" and not any("upload_url" in w for w in done["warnings"]), done
        mine = client.get_object(Bucket=s3.BUCKET, Key="mine/clip.mp4")["Body"].read()
        assert mine == s.call("GET", f"/v1/videos/{video['id']}/content").body
        done = s.wait_for(bad["id"])
        assert done["status"] == "completed"
        assert "the video was not put to upload_url: it was answered 403" in done["warnings"]
    with stack.Stack(servers=1) as s:
        for url in ("http://169.254.169.254/x", "https://127.0.0.1/x", "https://a@b.example.com/", "ftp://x/",
                    "https://example.com/\r\nX-A: b"):
            r = s.call("POST", "/v1/videos", {"prompt": "a", "upload_url": url})
            assert r.status in (400, 403) and r.json()["error"]["param"] == "upload_url", (url, r)
