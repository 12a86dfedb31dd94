"""What strangers send: each row is a request and the whole of its answer: status, code, parameter and
a piece of the text that says what to change. One server, one Redis, no worker."""
import base64
import json

import pytest

from picture import png
from rawhttp import form, send_raw
from stack import Stack, until

PNG = png(32, 32)
JSON = "application/json"
FORM = "multipart/form-data; boundary=XYZ"


@pytest.fixture(scope="module")
def stack():
    with Stack(servers=1, server_args=["--models-dir", "", "--threads", "4"]) as s:
        s.admin("keys", "list", check=False)
        yield s
        # After all of it the server still works and has made no job but the good ones.
        assert s.create()["status"] == "queued"


def check(reply, status, code, param, text, body=None):
    error = body if body is not None else json.loads(reply.body)["error"]
    assert reply.status == status, reply
    assert error["code"] == code, error
    assert error["param"] == param, error
    assert text in error["message"], error
    assert set(error) == {"message", "type", "param", "code"}
    assert reply.headers["x-request-id"].startswith("req_")


# ---- JSON: bodies as bytes ----

RAW_JSON = [
    ("J1 empty", b"", 400, "invalid_json", None, "empty"),
    ("J1 blanks", b" \n", 400, "invalid_json", None, "empty"),
    ("J1 null", b"null", 400, "invalid_json", None, "line 1"),
    ("J1 number", b"1", 400, "invalid_json", None, ""),
    ("J1 list", b"[]", 400, "invalid_json", None, "send an object"),
    ("J1 text", b'"x"', 400, "invalid_json", None, ""),
    ("J2 byte order mark", b'\xef\xbb\xbf{"prompt":"a"}', 400, "invalid_json", None, "line 1"),
    ("J2 UTF-16", '{"prompt":"a"}'.encode("utf-16"), 400, "invalid_json", None, ""),
    ("J2 truncated", b'{"prompt":"a"', 400, "invalid_json", None, "line 1"),
    ("J2 trailing comma", b'{"prompt":"a",}', 400, "invalid_json", None, "line 1"),
    ("J2 comment", b'{"prompt":"a"/*x*/}', 400, "invalid_json", None, "line 1"),
    ("J2 single quotes", b"{'prompt':'a'}", 400, "invalid_json", None, "line 1"),
    ("J2 NaN", b'{"prompt":"a","seed":NaN}', 400, "invalid_json", None, "line 1"),
    ("J2 leading zero", b'{"prompt":"a","seed":01}', 400, "invalid_json", None, "line 1"),
    ("J2 text behind", b'{"prompt":"a"} x', 400, "invalid_json", None, ""),
    ("J3 twice the same key", b'{"prompt":"a","prompt":"b"}', 400, "invalid_json", None, "prompt"),
    ("J4 depth 33", b'{"metadata":' + b"[" * 33 + b"]" * 33 + b"}", 400, "invalid_json", None, "deeper"),
    ("J4 depth 2100", b"[" * 2100 + b"]" * 2100, 400, "invalid_json", None, "deeper"),
    ("J5 too large", b'{"prompt":"' + b"a" * 200000 + b'"}', 413, "payload_too_large", None, "larger than"),
    ("J5 too large, in a list", b'{"prompt":"a","metadata":{' + b",".join(
        b'"%d":"%s"' % (i, b"x" * 100) for i in range(3000)) + b"}}", 413, "payload_too_large", None, ""),
    ("J6 byte ff", b'{"prompt":"\xff"}', 400, "invalid_json", None, "line 1"),
    ("J6 overlong", b'{"prompt":"\xc0\xaf"}', 400, "invalid_json", None, "line 1"),
    ("J6 lone surrogate", b'{"prompt":"\\ud800"}', 400, "invalid_json", None, "line 1"),
    ("J6 NUL escape in a value", b'{"prompt":"a\\u0000b"}', 400, "invalid_json", None, "line 1"),
    ("J6 NUL escape in a key", b'{"prompt":"a","a\\u0000":1}', 400, "invalid_json", None, "line 1"),
    ("J9 beyond 64 bits", b'{"prompt":"a","seed":9223372036854775808}', 400, "invalid_json", None, ""),
    ("J9 beyond a double", b'{"prompt":"a","guidance_scale":1e999}', 400, "invalid_json", None, ""),
    ("J21 5000 keys", b'{"prompt":"a",' + b",".join(b'"k%d":1' % i for i in range(5000)) + b"}",
     400, "invalid_value", None, "256 fields"),
]

# ---- JSON: fields beside a good prompt ----

FIELDS = [
    ("J7 unknown field", {"sparkles": 1}, 400, "unknown_parameter", "sparkles", "sparkles"),
    ("J7 unknown field, cut in a character", {"a" + "ä" * 50: 1}, 400, "unknown_parameter", "a" + "ä" * 29, "aä"),
    ("unknown member, cut in a character", {"output": {"a" + "花" * 50: 1}}, 400, "unknown_parameter", "output[a" + "花" * 9 + "]", "a花"),
    ("field with an empty name", {"": 1}, 400, "invalid_value", None, "empty name"),
    ("J7 other case", {"Seed": 1}, 400, "unknown_parameter", "Seed", "Seed"),
    ("J8 text for a number", {"steps": "5"}, 400, "invalid_type", "steps", "expected an integer"),
    ("J8 bool for a number", {"steps": True}, 400, "invalid_type", "steps", "a boolean"),
    ("J8 real for an integer", {"steps": 5.0}, 400, "invalid_type", "steps", "expected an integer"),
    ("J8 real seconds", {"seconds": 5.5}, 400, "invalid_type", "seconds", "expected an integer"),
    ("J8 number for a text", {"negative_prompt": 5}, 400, "invalid_type", "negative_prompt", "a string"),
    ("J8 object for a text", {"model": {"a": "b"}}, 400, "invalid_type", "model[a]", "an object"),
    ("J8 list for a number", {"seed": [1]}, 400, "invalid_type", "seed[]", "a list"),
    ("J8 bool for a prompt", {"prompt": True}, 400, "invalid_type", "prompt", "a boolean"),
    ("J10 seed -1", {"seed": -1}, 400, "invalid_value", "seed", "from 0 to 4294967295"),
    ("J10 seed 2^32", {"seed": 1 << 32}, 400, "invalid_value", "seed", "from 0 to 4294967295"),
    ("J10 seed in words", {"seed": "random"}, 400, "invalid_type", "seed", "expected an integer"),
    ("J11 empty prompt", {"prompt": ""}, 400, "invalid_value", "prompt", "empty"),
    ("J11 blank prompt", {"prompt": " \n\t"}, 400, "invalid_value", "prompt", "empty"),
    ("J11 long prompt", {"prompt": "a" * 32001}, 400, "invalid_value", "prompt", "at most 32000"),
    ("J11 null prompt", {"prompt": None}, 400, "missing_required_parameter", "prompt", "prompt"),
    ("J13 0x0", {"size": "0x0"}, 400, "invalid_value", "size", "from 64 to 1920"),
    ("J13 1x1", {"size": "1x1"}, 400, "invalid_value", "size", "from 64 to 1920"),
    ("J13 negative", {"size": "-1x5"}, 400, "invalid_value", "size", "WIDTHxHEIGHT"),
    ("J13 huge", {"size": "999999x999999"}, 400, "invalid_value", "size", "from 64 to 1920"),
    ("J13 three numbers", {"size": "1280x720x3"}, 400, "invalid_value", "size", "WIDTHxHEIGHT"),
    ("J13 star", {"size": "1280*720"}, 400, "invalid_value", "size", "WIDTHxHEIGHT"),
    ("J13 odd", {"size": "1279x719"}, 400, "invalid_value", "size", "even"),
    ("J13 too many pixels", {"size": "1920x1920"}, 400, "invalid_value", "size", "pixels"),
    ("J13 overflow", {"size": "99999999999999999999x2"}, 400, "invalid_value", "size", "WIDTHxHEIGHT"),
    ("J13 width without height", {"width": 128}, 400, "missing_required_parameter", "height", "together"),
    ("J13 size and width", {"size": "128x128", "width": 128, "height": 128}, 400, "invalid_value", "size", "not both"),
    ("J14 0 s", {"seconds": "0"}, 400, "invalid_value", "seconds", "from 1 to 60"),
    ("J14 -1 s", {"seconds": "-1"}, 400, "invalid_value", "seconds", "from 1 to 60"),
    ("J14 1e9 s", {"seconds": "1e9"}, 400, "invalid_value", "seconds", "from 1 to 60"),
    ("J14 blank behind", {"seconds": "4 "}, 400, "invalid_value", "seconds", "from 1 to 60"),
    ("J14 10^18 s", {"seconds": 10 ** 18}, 400, "invalid_value", "seconds", "from 1 to 60"),
    ("J14 fps 0", {"fps": 0}, 400, "invalid_value", "fps", "from 1 to 60"),
    ("J14 fps 10^6", {"fps": 1000000}, 400, "invalid_value", "fps", "from 1 to 60"),
    ("J14 2^31 frames", {"num_frames": 1 << 31}, 400, "invalid_value", "num_frames", "from 1 to 3601"),
    ("J15 0 steps", {"steps": 0}, 400, "invalid_value", "steps", "from 1 to 200"),
    ("J15 10001 steps", {"steps": 10001}, 400, "invalid_value", "steps", "from 1 to 200"),
    ("J15 NaN text", {"guidance_scale": "NaN"}, 400, "invalid_type", "guidance_scale", "expected a number"),
    ("J15 1e30", {"guidance_scale": 1e30}, 400, "invalid_value", "guidance_scale", "from 0 to 20"),
    ("J16 17 pairs", {"metadata": {str(i): "x" for i in range(17)}}, 400, "invalid_value", "metadata", "16 pairs"),
    ("J16 key of 65", {"metadata": {"k" * 65: "x"}}, 400, "invalid_value", "metadata", "64 characters"),
    ("J16 value of 513", {"metadata": {"k": "x" * 513}}, 400, "invalid_value", "metadata[k]", "at most 512"),
    ("J16 nested", {"metadata": {"k": {"a": "b"}}}, 400, "invalid_type", "metadata[k]", "a string"),
    ("J16 number", {"metadata": {"k": 1}}, 400, "invalid_type", "metadata[k]", "a string"),
    ("J16 a text", {"metadata": "x"}, 400, "invalid_type", "metadata", "object"),
    ("J17 unknown model", {"model": "gpt-9"}, 404, "model_not_found", "model", "/v1/models"),
    ("J17 empty model", {"model": ""}, 400, "invalid_value", "model", "1 to"),
    ("J17 path as model", {"model": "../x"}, 404, "model_not_found", "model", "/v1/models"),
    ("J17 10 KB model", {"model": "m" * 10000}, 400, "invalid_value", "model", "1 to"),
    ("J18 both references", {"input_reference": {"image_url": "data:image/png;base64," + base64.b64encode(PNG).decode(),
                                                 "file_id": "file-1"}}, 404, "not_found",
     "input_reference[file_id]", "32 digits"),
    ("J18 empty reference", {"input_reference": {}}, 400, "missing_required_parameter", "input_reference", "image_url"),
    ("J18 a text as reference", {"input_reference": "x.png"}, 400, "invalid_type", "input_reference",
     "expected a file or an object"),
    ("J18 an address", {"input_reference": {"image_url": "http://127.0.0.1/x.png"}}, 400, "unsupported_operation",
     "input_reference[image_url]", "data: URL"),
    ("J18 unknown member", {"input_reference": {"url": "x"}}, 400, "unknown_parameter", "input_reference[url]", "image_url"),
    ("J19 100 events", {"webhook_events": ["video.exploded"] * 100}, 400, "invalid_value", "webhook_events", "video.completed"),
    ("J19 unknown event", {"webhook_events": ["video.exploded"]}, 400, "invalid_value", "webhook_events", "video.completed"),
    ("J19 event as number", {"webhook_events": [1]}, 400, "invalid_type", "webhook_events", "a string"),
    ("J20 deadline 0", {"deadline_seconds": 0}, 400, "invalid_value", "deadline_seconds", "from 1 to"),
    ("J20 deadline 10^12", {"deadline_seconds": 10 ** 12}, 400, "invalid_value", "deadline_seconds", "from 1 to"),
    ("J20 expiry -1", {"expires_after_seconds": -1}, 400, "invalid_value", "expires_after_seconds", "from 60 to"),
    ("J22 bad alphabet", {"input_reference": {"image_url": "data:image/png;base64,!!!!"}}, 400, "invalid_value",
     "input_reference[image_url]", "base64"),
    ("J22 no padding", {"input_reference": {"image_url": "data:image/png;base64,abc"}}, 400, "invalid_value",
     "input_reference[image_url]", "base64"),
    ("J22 not base64", {"input_reference": {"image_url": "data:image/png,abc"}}, 400, "invalid_value",
     "input_reference[image_url]", "base64"),
    ("J22 a lie about the type", {"input_reference": {"image_url": "data:image/png;base64," +
                                                      base64.b64encode(b"GIF89a" + bytes(64)).decode()}},
     400, "invalid_media", "input_reference[image_url]", "a GIF"),
    ("W1 webhook on loopback", {"webhook_url": "https://127.0.0.1/x"}, 403, "url_not_allowed", "webhook_url", ""),
    ("W12 webhook with a password", {"webhook_url": "https://a:b@example.com/"}, 403, "url_not_allowed", "webhook_url", ""),
    ("W14 webhook by ftp", {"webhook_url": "ftp://example.com/"}, 403, "url_not_allowed", "webhook_url", ""),
    ("W18 webhook without TLS", {"webhook_url": "http://example.com/"}, 403, "url_not_allowed", "webhook_url", ""),
    ("priority", {"priority": "urgent"}, 400, "invalid_value", "priority", "low, normal or high"),
    ("n is 2", {"n": 2}, 400, "invalid_value", "n", "from 1 to 1"),
    ("two names of one field", {"steps": 5, "num_inference_steps": 6}, 400, "invalid_value", "num_inference_steps", "send one"),
    ("output container", {"output": {"container": "webm"}}, 400, "unsupported_operation", "output[container]", "mp4"),
    ("output sound", {"output": {"audio": True}}, 400, "unsupported_operation", "output[audio]", "no sound"),
    ("loop in words", {"loop": "yes"}, 400, "invalid_type", "loop", "boolean"),
    ("last frame", {"last_frame": {"image_url": "data:,"}}, 400, "invalid_value", "last_frame[image_url]", "base64"),
    ("upsampling", {"prompt_upsampling": "maybe"}, 400, "invalid_value", "prompt_upsampling", "off or on"),
]

# ---- forms ----

GOOD = ("prompt", "a")
FORMS = [
    ("M1 no boundary", "multipart/form-data", form(GOOD), 400, "invalid_multipart", None, "boundary"),
    ("M1 empty boundary", "multipart/form-data; boundary=", form(GOOD), 400, "invalid_multipart", None, "boundary"),
    ("M1 200 characters", "multipart/form-data; boundary=" + "x" * 200, form(GOOD), 400, "invalid_multipart", None, "70"),
    ("M1 odd characters", 'multipart/form-data; boundary="a\tb"', form(GOOD), 400, "invalid_multipart", None, "RFC 2046"),
    ("M2 boundary never seen", FORM, b"hello", 400, "invalid_multipart", None, "never appears"),
    ("M2 other boundary", FORM, form(GOOD, boundary="ABC") + b"x" * 2000, 400, "invalid_multipart", None, "boundary"),
    ("M2 last boundary missing", FORM, form(GOOD, end=False), 400, "invalid_multipart", None, "last boundary"),
    ("M3 part without name", FORM, form(b"Content-Disposition: form-data\r\n\r\nx"), 400, "invalid_multipart", None, "no name"),
    ("M3 part without head", FORM, form(b"\r\nx"), 400, "invalid_multipart", None, "no name"),
    ("M3 head of 64 KiB", FORM, form(b"Content-Disposition: form-data; name=\"a\"\r\nX: " + b"y" * 65536 + b"\r\n\r\nx"),
     400, "invalid_multipart", None, "8192"),
    ("M3 10^4 parts", FORM, form(*[(f"k{i}", "x") for i in range(10000)]), 400, "invalid_multipart", None, "64 parts"),
    ("M5 field twice", FORM, form(GOOD, GOOD), 400, "invalid_value", "prompt", "twice"),
    ("M5 list for a text", FORM, form(("prompt[]", "a")), 400, "invalid_type", "prompt[]", "a list"),
    ("M5 deep brackets", FORM, form(("a" + "[b]" * 30, "a")), 400, "invalid_multipart", "a" + "[b]" * 30, "name[member]"),
    ("M8 transfer encoding", FORM,
     form(b'Content-Disposition: form-data; name="prompt"\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ=='),
     400, "invalid_multipart", None, "raw bytes"),
    ("M9 empty file", FORM, form(GOOD, ("input_reference", b"", "a.png")), 400, "invalid_media", "input_reference", "no bytes"),
    ("file in a text field", FORM, form(("prompt", b"abc", "a.txt")), 400, "invalid_type", "prompt", "a file"),
    ("five files", FORM, form(GOOD, *[(f"f{i}", PNG, "a.png") for i in range(5)]), 400, "invalid_value", "f4", "4 files"),
    ("prompt missing", FORM, form(("seconds", "4")), 400, "missing_required_parameter", "prompt", "prompt"),
    ("prompt not UTF-8", FORM, form(("prompt", b"\xff\xfe")), 400, "invalid_value", "prompt", "UTF-8"),
    ("seed in words", FORM, form(GOOD, ("seed", "random")), 400, "invalid_value", "seed", "whole number"),
    ("NaN", FORM, form(GOOD, ("guidance_scale", "NaN")), 400, "invalid_value", "guidance_scale", "from 0 to 20"),
    ("text for a file", FORM, form(GOOD, ("input_reference", "x")), 400, "invalid_type", "input_reference", "expected a file"),
    ("broken JSON in a part", FORM, form(GOOD, ("metadata", "{x")), 400, "invalid_json", "metadata", "line 1"),
    ("unknown part", FORM, form(GOOD, ("sparkles", "1")), 400, "unknown_parameter", "sparkles", "sparkles"),
    ("I1 text as picture", FORM, form(GOOD, ("input_reference", b"hello world, hello", "a.png")), 400, "invalid_media",
     "input_reference", "PNG, JPEG or WebP"),
    ("I1 SVG", FORM, form(GOOD, ("input_reference", b"<svg xmlns='x'></svg>", "a.png")), 400, "invalid_media", "input_reference", "an SVG"),
    ("I1 PDF", FORM, form(GOOD, ("input_reference", b"%PDF-1.7 xxxxxxxx", "a.png")), 400, "invalid_media", "input_reference", "a PDF"),
    ("I1 program", FORM, form(GOOD, ("input_reference", b"\x7fELF" + bytes(99), "a.png")), 400, "invalid_media", "input_reference", "a program"),
    ("I3 16000x16000", FORM, form(GOOD, ("input_reference", PNG[:16] + (16000).to_bytes(4, "big") * 2 + PNG[24:], "a.png")),
     400, "invalid_media", "input_reference", "16000x16000"),
    ("I3 2^31 pixels wide", FORM, form(GOOD, ("input_reference", PNG[:16] + b"\x7f\xff\xff\xff" + PNG[20:], "a.png")),
     400, "invalid_media", "input_reference", "at most"),
    ("V a video as first frame", FORM, form(GOOD, ("input_reference", b"\0\0\0\x20ftypisom" + bytes(99), "a.mp4")),
     400, "invalid_media", "input_reference", "an MP4"),
]

# ---- HTTP: the request as bytes; the answer must be the only one ----

POST = b"POST /v1/videos HTTP/1.1\r\nHost: x\r\n"
TYPED = POST + b"Content-Type: application/json\r\n"
GET = b"GET /v1/videos HTTP/1.1\r\n"
BODY = b'{"prompt":"a"}'
SECOND = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
RAW = [
    ("H1 both framings", TYPED + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SECOND, 400, "invalid_request", "not both"),
    ("H2 two lengths", TYPED + b"Content-Length: 14\r\nContent-Length: 15\r\n\r\n" + BODY, 400, "invalid_request", "two Content-Length"),
    ("H3 twice the same length", TYPED + b"Content-Length: 14\r\nContent-Length: 14\r\n\r\n" + BODY, 400, "invalid_request", "two Content-Length"),
    ("H4 gzip, chunked", TYPED + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "transfer_coding_not_supported", "chunked"),
    ("H4 xchunked", TYPED + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501, "transfer_coding_not_supported", "chunked"),
    ("H4 two lines", TYPED + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501, "transfer_coding_not_supported", "chunked"),
    ("H6 2^64-1", TYPED + b"Content-Length: 18446744073709551615\r\n\r\n", 400, "invalid_request", "Content-Length"),
    ("H6 announced too large", TYPED + b"Content-Length: 9000000000\r\n\r\n", 413, "payload_too_large", "at most"),
    ("H9 blank before the colon", GET + b"Host : x\r\n\r\n", 400, "invalid_request", "token"),
    ("H9 control byte", GET + b"Host: x\r\nX: a\x01b\r\n\r\n", 400, "invalid_request", "control"),
    ("H9 non-ASCII name", GET + b"Host: x\r\nX\xc3\xa4: a\r\n\r\n", 400, "invalid_request", "token"),
    ("H10 folded line", GET + b"Host: x\r\nX: a\r\n b\r\nY: c\r\n\r\n", 400, "invalid_request", "folded"),
    ("H10 folded last line", GET + b"Host: x\r\nX: a\r\n\tb\r\n\r\n", 400, "invalid_request", "folded"),
    ("H11 bare line feeds", b"GET /v1/videos HTTP/1.1\nHost: x\n\n", 400, "invalid_request", "bare"),
    ("H11 one bare line feed", GET + b"Host: x\nX: y\r\n\r\n", 400, "invalid_request", "bare"),
    ("H12 NUL in the address", b"GET /v1/videos\0x HTTP/1.1\r\nHost: x\r\n\r\n", 400, "invalid_request", "NUL"),
    ("H12 NUL in a header", GET + b"Host: x\r\nX: a\0b\r\n\r\n", 400, "invalid_request", "NUL"),
    ("H12 NUL in the method", b"GE\0T /v1/videos HTTP/1.1\r\nHost: x\r\n\r\n", 400, "invalid_request", "NUL"),
    ("H13 %00", b"GET /v1/videos%00 HTTP/1.1\r\nHost: x\r\n\r\n", 404, "not_found", "nothing"),
    ("H13 %2e%2e", b"GET /v1/%2e%2e/healthz HTTP/1.1\r\nHost: x\r\n\r\n", 404, "not_found", "nothing"),
    ("H13 double slash", b"GET //v1/videos HTTP/1.1\r\nHost: x\r\n\r\n", 404, "not_found", "nothing"),
    ("H13 dot segment", b"GET /v1/./videos HTTP/1.1\r\nHost: x\r\n\r\n", 404, "not_found", "nothing"),
    ("H13 parameter", b"GET /v1/videos;x HTTP/1.1\r\nHost: x\r\n\r\n", 404, "not_found", "nothing"),
    ("H13 trailing slash", b"GET /v1/videos/ HTTP/1.1\r\nHost: x\r\n\r\n", 404, "not_found", "nothing"),
    ("H14 no Host", GET + b"\r\n", 400, "invalid_request", "Host"),
    ("H14 two Hosts", GET + b"Host: x\r\nHost: y\r\n\r\n", 400, "invalid_request", "two host"),
    ("H14 port 99999", GET + b"Host: x:99999\r\n\r\n", 400, "invalid_request", "host:port"),
    ("H14 Host with a path", GET + b"Host: x/y\r\n\r\n", 400, "invalid_request", "host:port"),
    ("H15 HTTP/1.2", b"GET /v1/videos HTTP/1.2\r\nHost: x\r\n\r\n", 505, "http_version_not_supported", "HTTP/1.1"),
    ("two blanks", b"GET  /v1/videos HTTP/1.1\r\nHost: x\r\n\r\n", 400, "invalid_request", "blanks"),
    ("H16 600 headers", GET + b"Host: x\r\n" + b"".join(b"X%d: y\r\n" % i for i in range(200)) + b"\r\n", 431, "headers_too_large", "64"),
    ("H16 long address", b"GET /v1/videos?x=" + b"y" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, "headers_too_large", "longer"),
    ("H17 unknown method", b"FOO /v1/videos HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method_not_allowed", "GET, HEAD"),
    ("H17 TRACE", b"TRACE /v1/videos HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method_not_allowed", "GET, HEAD"),
    ("H17 PUT", b"PUT /v1/videos HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405, "method_not_allowed", "POST"),
    ("H20 no Content-Type", POST + b"Content-Length: 14\r\n\r\n" + BODY, 415, "unsupported_media_type", "application/json"),
    ("H20 text/plain", POST + b"Content-Type: text/plain\r\nContent-Length: 14\r\n\r\n" + BODY, 415, "unsupported_media_type", "multipart"),
    ("H20 UTF-16", POST + b"Content-Type: application/json; charset=utf-16\r\nContent-Length: 14\r\n\r\n" + BODY, 415, "unsupported_media_type", "UTF-8"),
    ("H21 gzip", TYPED + b"Content-Encoding: gzip\r\nContent-Length: 14\r\n\r\n" + BODY, 415, "unsupported_media_type", "as it is"),
    ("H22 Expect with a wrong type", POST + b"Content-Type: text/plain\r\nContent-Length: 14\r\nExpect: 100-continue\r\n\r\n", 415, "unsupported_media_type", "application/json"),
    ("H22 Expect with too much", TYPED + b"Content-Length: 90000000\r\nExpect: 100-continue\r\n\r\n", 413, "payload_too_large", "at most"),
    ("H27 empty key", TYPED + b"Idempotency-Key: \r\nContent-Length: 14\r\n\r\n" + BODY, 400, "invalid_value", "Idempotency-Key"),
    ("H27 key of 256", TYPED + b"Idempotency-Key: " + b"k" * 256 + b"\r\nContent-Length: 14\r\n\r\n" + BODY, 400, "invalid_value", "255"),
    ("H27 UTF-8 key", TYPED + "Idempotency-Key: ä\r\nContent-Length: 14\r\n\r\n".encode() + BODY, 400, "invalid_value", "ASCII"),
    ("Cancel-After", TYPED + b"Cancel-After: soon\r\nContent-Length: 14\r\n\r\n" + BODY, 400, "invalid_value", "10m"),
]

NO_ID = "video_" + "0" * 32
PATHS = [
    ("H29 limit 0", "GET", "/v1/videos?limit=0", 400, "invalid_value", "limit", "from 1 to 100"),
    ("H29 limit -1", "GET", "/v1/videos?limit=-1", 400, "invalid_value", "limit", "from 1 to 100"),
    ("H29 limit 101", "GET", "/v1/videos?limit=101", 400, "invalid_value", "limit", "from 1 to 100"),
    ("H29 limit abc", "GET", "/v1/videos?limit=abc", 400, "invalid_value", "limit", "from 1 to 100"),
    ("H29 limit twice", "GET", "/v1/videos?limit=1&limit=2", 400, "invalid_value", "limit", "from 1 to 100"),
    ("H29 after nonsense", "GET", "/v1/videos?after=x", 400, "invalid_value", "after", "last_id"),
    ("H29 order x", "GET", "/v1/videos?order=x", 400, "invalid_value", "order", "asc or desc"),
    ("H29 broken escape", "GET", "/v1/videos?order=%zz", 400, "invalid_value", "order", "asc or desc"),
    ("H34 upper case", "GET", "/v1/videos/video_" + "A" * 32, 404, "video_not_found", "id", "no video"),
    ("H34 dots", "GET", "/v1/videos/..", 404, "video_not_found", "id", "no video"),
    ("H34 10 KB", "GET", "/v1/videos/" + "a" * 8000, 404, "not_found", None, "nothing"),
    ("no such video", "GET", "/v1/videos/" + NO_ID, 404, "video_not_found", "id", "no video"),
    ("no such content", "GET", f"/v1/videos/{NO_ID}/content", 404, "video_not_found", "id", "no video"),
    ("no such variant", "GET", f"/v1/videos/{NO_ID}/content?variant=x", 400, "invalid_value", "variant", "thumbnail"),
    ("cancel nothing", "POST", f"/v1/videos/{NO_ID}/cancel", 404, "video_not_found", "id", "no video"),
    ("delete nothing", "DELETE", f"/v1/videos/{NO_ID}", 404, "video_not_found", "id", "no video"),
    ("events of nothing", "GET", f"/v1/videos/{NO_ID}/events", 404, "video_not_found", "id", "no video"),
    ("wait too long", "GET", f"/v1/videos/{NO_ID}?wait=61", 400, "invalid_value", "wait", "from 0 to 60"),
    ("wait in words", "GET", f"/v1/videos/{NO_ID}?wait=long", 400, "invalid_value", "wait", "from 0 to 60"),
    ("no such model", "GET", "/v1/models/x", 404, "model_not_found", "model", "/v1/models"),
    ("characters", "POST", "/v1/videos/characters", 415, "unsupported_media_type", None, "multipart"),
    ("a character", "GET", "/v1/videos/characters/char_1", 404, "not_found", "id", "no character"),
    ("GET on edits", "GET", "/v1/videos/edits", 405, "method_not_allowed", None, "POST"),
    ("nowhere", "GET", "/v2/videos", 404, "not_found", None, "nothing"),
]


def names(rows):
    return [r[0] for r in rows]


@pytest.mark.parametrize("row", RAW_JSON, ids=names(RAW_JSON))
def test_json_body(stack, row):
    _, body, status, code, param, text = row
    check(stack.call("POST", "/v1/videos", body, {"content-type": JSON}), status, code, param, text)


@pytest.mark.parametrize("row", FIELDS, ids=names(FIELDS))
def test_json_field(stack, row):
    _, fields, status, code, param, text = row
    check(stack.call("POST", "/v1/videos", {"prompt": "a", **fields}), status, code, param, text)


@pytest.mark.parametrize("row", FORMS, ids=names(FORMS))
def test_form(stack, row):
    _, kind, body, status, code, param, text = row
    check(stack.call("POST", "/v1/videos", body, {"content-type": kind}), status, code, param, text)


@pytest.mark.parametrize("row", RAW, ids=names(RAW))
def test_raw_request(stack, row):
    _, data, status, code, text = row
    reply = send_raw(stack.url, data)
    error = reply.error()
    assert (reply.status, error["code"]) == (status, code), reply
    assert text in error["message"], error
    assert reply.n_answers == 1, reply


@pytest.mark.parametrize("row", PATHS, ids=names(PATHS))
def test_path(stack, row):
    _, method, path, status, code, param, text = row
    check(stack.call(method, path, headers={"content-length": "0"} if method == "POST" else None),
          status, code, param, text)


def no_temporary_files(stack):
    until(lambda: not list((stack.dir / "store" / "tmp").iterdir()), 1, "temporary files were gone")


def test_framing_in_doubt_closes_the_connection(stack):
    for name, data, status, *_ in RAW[:16]:
        assert send_raw(stack.url, data).ending in ("closed", "reset"), name


def test_a_file_one_byte_over_the_limit_is_refused_and_the_limit_itself_is_not(stack):
    limit = 32 * 1024 * 1024
    for extra, status in ((0, 200), (1, 413)):
        body = form(GOOD, ("input_reference", PNG + bytes(limit - len(PNG) + extra), "a.png"))
        reply = stack.call("POST", "/v1/videos", body, {"content-type": FORM})
        assert reply.status == status, reply
    no_temporary_files(stack)


def test_a_data_url_may_be_larger_than_other_json(stack):
    url = "data:image/png;base64," + base64.b64encode(PNG + bytes(3 << 20)).decode()
    assert stack.call("POST", "/v1/videos", {"prompt": "a", "input_reference": {"image_url": url}}).status == 200


def test_an_upload_cut_off_leaves_nothing_behind(stack):
    body = form(GOOD, ("input_reference", PNG + bytes(1 << 20), "a.png"))
    jobs = len(stack.json("GET", "/v1/videos?limit=100")["data"])
    for share in (0, 0.5, 0.999):
        head = POST + f"Content-Type: {FORM}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        send_raw(stack.url, head + body[:int(len(body) * share)], close=True)
    no_temporary_files(stack)
    assert len(stack.json("GET", "/v1/videos?limit=100")["data"]) == jobs


def test_problem_json_carries_both_shapes(stack):
    reply = stack.call("GET", "/v1/videos?limit=0", headers={"accept": "application/problem+json"})
    body = reply.json()
    assert reply.headers["content-type"] == "application/problem+json"
    assert body["status"] == 400 and body["detail"] == body["error"]["message"] and body["instance"].startswith("req_")


def test_there_are_at_least_eighty_rows():
    assert sum(map(len, (RAW_JSON, FIELDS, FORMS, RAW, PATHS))) >= 80
