"""Strangers' pictures and clips against misora-decode: what is conformed, what is refused, and that
nothing gets out of the jail. Rows I* and V* of the table of bad inputs; every file is made here."""
import io
import pathlib
import random
import shutil
import struct
import subprocess
import zlib

import pytest
from PIL import Image

import decoded
import stack

CPU_LIMIT_S, MEMORY_LIMIT = 20, 800_000_000
SIZE = (64, 48)


def ffmpeg(*args):
    subprocess.run(["ffmpeg", "-hide_banner", "-v", "error", "-y", *map(str, args)], check=True,
                   stdin=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def box(tmp_path_factory):
    """A folder with one good file of each kind, two seconds at 10 fps: red left, blue right."""
    d = tmp_path_factory.mktemp("media")
    picture = Image.new("RGB", (160, 120), (20, 20, 220))
    picture.paste((220, 20, 20), (0, 0, 80, 120))
    picture.save(d / "good.png")
    picture.save(d / "good.jpg", quality=92)
    picture.save(d / "good.webp")
    still = ["-loop", "1", "-framerate", "10", "-t", "2", "-i", d / "good.png"]
    ffmpeg(*still, "-pix_fmt", "yuv420p", d / "good.mp4")
    ffmpeg(*still, "-pix_fmt", "yuv420p", "-movflags", "faststart", d / "first.mp4")
    ffmpeg(*still, "-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p",
           d / "good265.mp4")
    ffmpeg(*still, "-c:v", "libvpx-vp9", "-cpu-used", "8", d / "good.webm")
    ffmpeg(*still, "-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", d / "goodav1.mp4")
    ffmpeg(*still, d / "good.gif")
    ffmpeg("-f", "lavfi", "-i", "sine", *still, "-pix_fmt", "yuv420p", "-t", "2", d / "sound.mp4")
    return d


def write(path, data):
    path.write_bytes(data)
    return path


def is_red_and_blue(a, frame=0, size=SIZE):
    left, right = a.pixel(frame, 8, 24, size[0]), a.pixel(frame, size[0] - 8, 24, size[0])
    return left[0] > 160 and left[2] < 90 and right[2] > 160 and right[0] < 90


# ---- what is read ----

@pytest.mark.parametrize("name, n", [("good.png", 1), ("good.jpg", 1), ("good.webp", 1), ("good.mp4", 20),
                                     ("first.mp4", 20), ("good265.mp4", 20), ("good.webm", 20),
                                     ("goodav1.mp4", 20), ("good.gif", 20), ("sound.mp4", 20)])
def test_every_kind_comes_back_as_it_was(box, name, n):
    a = decoded.run(box / name)
    assert a.error is None and a.is_whole
    assert len(a.frames) == n == a.head["n_given"]
    assert (a.head["width"], a.head["height"]) == (160, 120)
    assert a.head["has_audio"] == (name == "sound.mp4")
    assert a.warnings == []
    assert is_red_and_blue(a) and is_red_and_blue(a, n - 1)


def test_a_name_means_nothing(box, tmp_path):
    shutil.copy(box / "good.png", tmp_path / "x.mp4")
    assert decoded.run(tmp_path / "x.mp4").head["is_video"] == 0
    assert decoded.run(tmp_path / "x.mp4", kind="video").error == "the file is an image; need a video"
    shutil.copy(box / "good.mp4", tmp_path / "x.png")
    assert decoded.run(tmp_path / "x.png", kind="image").error == \
        "the file is a video; need a jpeg, png or webp image"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_photo_is_honoured(tmp_path, orientation):
    upright = Image.new("RGB", (96, 64), (20, 220, 20))  # red, blue in the upper corners
    upright.paste((220, 20, 20), (0, 0, 48, 32))
    upright.paste((20, 20, 220), (48, 0, 96, 32))
    undo = {1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270}
    stored = upright if undo[orientation] is None else upright.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x112] = orientation
    stored.save(tmp_path / "p.jpg", quality=95, exif=exif)
    a = decoded.run(tmp_path / "p.jpg", size=(96, 64))
    assert (a.head["width"], a.head["height"]) == (96, 64)
    assert a.pixel(0, 20, 14, 96)[0] > 180 and a.pixel(0, 76, 14, 96)[2] > 180
    assert a.pixel(0, 20, 50, 96)[1] > 180


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_phone_held_sideways_gives_an_upright_clip(box, tmp_path, degrees):
    ffmpeg("-display_rotation", degrees, "-i", box / "good.mp4", "-c", "copy", tmp_path / "t.mp4") \
        if has_display_rotation() else ffmpeg("-i", box / "good.mp4", "-c", "copy", "-metadata:s:v:0",
                                              f"rotate={degrees}", tmp_path / "t.mp4")
    a = decoded.run(tmp_path / "t.mp4", size=(48, 64) if degrees != 180 else (64, 48))
    assert any("turned" in w for w in a.warnings)
    if degrees == 180:
        assert a.pixel(0, 8, 24, 64)[2] > 160 and a.pixel(0, 56, 24, 64)[0] > 160
    else:
        assert (a.head["width"], a.head["height"]) == (120, 160)
        top, bottom = a.pixel(0, 24, 8, 48), a.pixel(0, 24, 56, 48)
        expected = turned_by_ffmpeg(tmp_path / "t.mp4", tmp_path)
        assert (top[0] > 160) == (expected.getpixel((60, 20))[0] > 160)
        assert (bottom[0] > 160) == (expected.getpixel((60, 140))[0] > 160)


def has_display_rotation():
    text = subprocess.run(["ffmpeg", "-h", "full"], capture_output=True, text=True, check=False).stdout
    return "-display_rotation" in text


def turned_by_ffmpeg(path, tmp_path):
    ffmpeg("-i", path, "-frames:v", 1, tmp_path / "turned.png")
    return Image.open(tmp_path / "turned.png").convert("RGB")


def test_times_decide_what_is_shown_when(tmp_path):
    """A grey that grows by the second, at an irregular rate: frames at 0, 1, 1.2 and 3 s."""
    for i, grey in enumerate((10, 90, 150, 230)):
        Image.new("RGB", (64, 48), (grey, grey, grey)).save(tmp_path / f"{i}.png")
    seconds = ((0, 1), (1, .2), (2, 1.8), (3, .2), (3, .2))
    (tmp_path / "list.txt").write_text("".join(f"file {i}.png\nduration {s}\n" for i, s in seconds))
    ffmpeg("-f", "concat", "-i", tmp_path / "list.txt", "-vsync", "vfr", "-pix_fmt", "yuv420p",
           tmp_path / "vfr.mp4")
    a = decoded.run(tmp_path / "vfr.mp4", fps=5)
    greys = [a.pixel(i, 32, 24, 64)[0] for i in range(len(a.frames))]
    want = [10] * 5 + [90] + [150] * 9 + [230]
    assert len(greys) >= len(want)
    assert all(abs(g - w) < 8 for g, w in zip(greys, want)), greys
    assert any("irregularly" in w for w in a.warnings)


COLOURS = ["-f", "lavfi", "-i", "color=c=0x808080:s=64x48:r=10:d=0.5", "-c:v", "libx265",
           "-x265-params", "log-level=none"]


@pytest.mark.parametrize("args, warning", [
    (["-pix_fmt", "yuv420p10le", "-color_trc", "smpte2084", "-color_primaries", "bt2020",
      "-colorspace", "bt2020nc"], "its HDR (PQ) colours"),
    (["-pix_fmt", "yuv420p10le", "-color_trc", "arib-std-b67", "-color_primaries", "bt2020",
      "-colorspace", "bt2020nc"], "its HDR (HLG) colours"),
    (["-pix_fmt", "yuv420p10le"], "its 10 bits a colour became 8"),
    (["-pix_fmt", "yuv420p", "-color_primaries", "bt2020", "-colorspace", "bt2020nc"],
     "its wide colours (BT.2020)"),
])
def test_colours_of_better_screens_become_plain_ones(tmp_path, args, warning):
    ffmpeg(*COLOURS, *args, tmp_path / "c.mp4")
    a = decoded.run(tmp_path / "c.mp4")
    assert any(w.startswith(warning) for w in a.warnings), a.warnings
    r, g, b = a.pixel(0, 32, 24, 64)
    assert abs(r - g) < 4 and abs(g - b) < 4, "grey stays grey"
    # 0.502 of PQ are 94 nits of 203; of HLG 50 nits; else the same grey.
    want = {"PQ": 185, "HL": 147}.get(warning[9:11] if "HDR" in warning else "", 128)
    assert abs(g - want) < 12, (r, g, b)


def test_full_range_and_field_and_odd_pixels(box, tmp_path):
    ffmpeg("-i", box / "good.mp4", "-vf", "scale=out_range=full", "-color_range", "pc", tmp_path / "f.mp4")
    assert is_red_and_blue(decoded.run(tmp_path / "f.mp4"))
    ffmpeg("-i", box / "good.mp4", "-flags", "+ilme+ildct", "-x264opts", "tff=1", tmp_path / "i.mp4")
    a = decoded.run(tmp_path / "i.mp4")
    assert is_red_and_blue(a) and any("interlaced" in w for w in a.warnings)
    assert (a.head["width"], a.head["height"]) == (160, 120)
    ffmpeg("-i", box / "good.mp4", "-vf", "setsar=2/1", tmp_path / "s.mp4")
    a = decoded.run(tmp_path / "s.mp4", size=(128, 48))
    assert (a.head["width"], a.head["height"]) == (320, 120) and is_red_and_blue(a, 0, (128, 48))
    ffmpeg("-i", box / "good.mp4", "-vf", "scale=1:1", "-pix_fmt", "yuv444p", tmp_path / "1.mp4")
    assert len(decoded.run(tmp_path / "1.mp4").frames) == 20
    ffmpeg("-i", box / "good.mp4", "-vf", "scale=161:121", "-pix_fmt", "yuv444p", tmp_path / "o.mp4")
    a = decoded.run(tmp_path / "o.mp4", size=(63, 47))
    assert (a.head["width"], a.head["height"]) == (161, 121) and is_red_and_blue(a, 0, (63, 47))


def test_stills_of_every_depth(tmp_path):
    half = Image.new("L", (64, 48), 200)
    half.paste(20, (0, 0, 32, 48))
    half.save(tmp_path / "l.png")
    half.convert("1").save(tmp_path / "1.png")
    half.convert("P").save(tmp_path / "p.png")
    half.convert("I;16").point(lambda v: v * 257).save(tmp_path / "16.png")
    half.convert("RGB").convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    half.convert("RGB").save(tmp_path / "progressive.jpg", quality=95, progressive=True)
    half.convert("RGB").save(tmp_path / "lossless.webp", lossless=True)
    for name in ("l.png", "p.png", "16.png", "cmyk.jpg", "progressive.jpg", "lossless.webp"):
        a = decoded.run(tmp_path / name)
        assert a.error is None, (name, a.error)
        left, right = a.pixel(0, 8, 24, 64), a.pixel(0, 56, 24, 64)
        assert all(abs(v - 20) < 12 for v in left) and all(abs(v - 200) < 12 for v in right), name
    assert decoded.run(tmp_path / "1.png").error is None
    clear = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    clear.paste((220, 20, 20, 255), (0, 0, 32, 48))
    clear.save(tmp_path / "a.png")
    a = decoded.run(tmp_path / "a.png")
    assert a.pixel(0, 8, 24, 64)[1] < 60 and min(a.pixel(0, 56, 24, 64)) > 250
    assert a.warnings == ["its transparent parts are shown on white"]


# ---- what is hostile ----

def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, rows, extra=b"", bits=8, colour=0, end=True):
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + extra + png_chunk(b"IDAT", rows) + \
        (png_chunk(b"IEND", b"") if end else b"")


def zeros(n):
    """n zero bytes, deflated, without having them in memory."""
    c = zlib.compressobj(9)
    return b"".join(c.compress(bytes(min(1 << 20, n - i))) for i in range(0, n, 1 << 20)) + c.flush()


def box_of(kind, data):
    return struct.pack(">I", 8 + len(data)) + kind + data


def ebml(tag, data):
    return bytes.fromhex(tag) + b"\x01" + len(data).to_bytes(7, "big") + data


def mkv_bomb():
    """A track whose codec data is a gigabyte of zeros, deflated to one megabyte."""
    coding = ebml("5031", b"\0") + ebml("5032", b"\x02") + ebml("5033", b"\0") + \
        ebml("5034", ebml("4254", b"\0"))
    track = ebml("d7", b"\1") + ebml("73c5", b"\1") + ebml("83", b"\1") + \
        ebml("86", b"V_MPEG4/ISO/AVC") + ebml("63a2", zeros(1 << 30)) + \
        ebml("6d80", ebml("6240", coding)) + ebml("e0", ebml("b0", b"\x40") + ebml("ba", b"\x30"))
    return ebml("1a45dfa3", ebml("4282", b"matroska")) + ebml("18538067", ebml("1654ae6b", ebml("ae", track)))


def mkv_nested():
    data = b""
    for _ in range(1000):
        data = ebml("1654ae6b", data)
    return ebml("1a45dfa3", ebml("4282", b"matroska")) + ebml("18538067", data)


def mp4_with(box, change):
    """good.mp4 with its moov, which lies at the end, changed."""
    data = (box / "good.mp4").read_bytes()
    at = data.rindex(b"moov") - 4
    return data[:at] + change(data[at:])


def thousand_tracks(moov):
    at = moov.index(b"trak") - 4
    n = struct.unpack(">I", moov[at:at + 4])[0]
    return box_of(b"moov", moov[8:] + moov[at:at + n] * 1000)


def long_table(moov):
    """stts and stsz that speak of ten million samples."""
    at, sz = moov.index(b"stts"), moov.index(b"stsz")
    moov = moov[:at + 8] + struct.pack(">III", 1, 10_000_000, 1) + moov[at + 20:]
    return moov[:sz + 8] + struct.pack(">II", 1, 10_000_000) + moov[sz + 16:]


def jpeg_of_scans(n):
    """A picture of 36 million pixels whose last scan comes n times more."""
    out = io.BytesIO()
    Image.new("RGB", (6000, 6000), (90, 120, 40)).save(out, "jpeg", quality=30, progressive=True)
    data = out.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * n + data[-2:]


def gif_of(n):
    """n frames of one pixel each that repeat for ever."""
    frame = b"\x21\xf9\x04\x00\x01\x00\x00\x00\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6) + \
        b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00" + frame * n + b";"


def apng_of(box, n):
    data = (box / "good.png").read_bytes()
    at = data.index(b"IDAT") - 4
    control = png_chunk(b"acTL", struct.pack(">II", n, 0))
    frames = b"".join(
        png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2 * i, 160, 120, 0, 0, 1, 10, 0, 0)) +
        png_chunk(b"fdAT", struct.pack(">I", 2 * i + 1) + b"xx") for i in range(n))
    return data[:at] + control + data[at:-12] + frames + data[-12:]


TEXTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXTINF:9,\nhttp://127.0.0.1:1/x.ts\n",
    "mpd": "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><BaseURL>http://127.0.0.1:1/</BaseURL></MPD>",
    "ffconcat": "ffconcat version 1.0\nfile /etc/passwd\nfile http://127.0.0.1:1/x\n",
    "sdp": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
    "asx": "<asx version='3.0'><entry><ref href='http://127.0.0.1:1/x'/></entry></asx>",
    "url": "[InternetShortcut]\nURL=http://127.0.0.1:1/x\n",
    "svg": "<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "html": "<html><body>log in</body></html>",
    "postscript": "%!PS\n(/etc/passwd) (r) file\n",
    "pdf": "%PDF-1.7\n",
}

UNKNOWN = "the file is not a jpeg, png or webp image"
DAMAGED = "the image is damaged, has more than 50 million pixels"
BAD_HEAD = "the head of the video cannot be read"


def bytes_rows(box):
    """name, bytes, how the refusal begins (None: it is read)."""
    good = (box / "good.mp4").read_bytes()
    png_good = (box / "good.png").read_bytes()
    jpg = (box / "good.jpg").read_bytes()
    yield "empty", b"", "the file is empty"
    yield "one byte", b"\xff", UNKNOWN
    yield "noise", random.Random(1).randbytes(1 << 20), UNKNOWN
    yield "zip bomb", b"PK\x03\x04" + zeros(1 << 28), UNKNOWN
    yield "elf", b"\x7fELF" + bytes(4096), UNKNOWN
    yield "heic", box_of(b"ftyp", b"heicmif1"), "the file is a HEIC or AVIF picture"
    for name, text in TEXTS.items():
        yield name, text.encode(), UNKNOWN
    yield "png 16000x16000", png(16000, 16000, zeros(16001 * 16000)), DAMAGED
    yield "png 65535x65535", png(65535, 65535, zeros(1 << 20)), DAMAGED
    yield "png 0x0", png(0, 0, zeros(10)), DAMAGED
    yield "png 1x100000", png(1, 100000, zeros(200000)), "the image is 1x100000, at most 16384"
    yield "png bomb behind a small head", png(16, 16, zeros(1 << 28)), None
    yield "png colour profile bomb", png(16, 16, zeros(17 * 16), png_chunk(b"iCCP", b"x\0\0" + zeros(1 << 30))), DAMAGED
    yield "png of 10^5 texts", png(16, 16, zeros(17 * 16), png_chunk(b"tEXt", b"k\0v") * 100_000), None
    yield "png chunk of 2^31", png_good[:33] + b"\x80\0\0\0IDAT" + png_good[41:], DAMAGED
    yield "png palette without colours", png(16, 16, zeros(17 * 16), colour=3), None
    yield "png without end", png(16, 16, zeros(17 * 16), end=False), None
    yield "png cut in half", png_good[:len(png_good) // 2], DAMAGED
    yield "apng of 10^5 frames", apng_of(box, 100_000), None
    yield "png with a zip behind", png_good + b"PK\x03\x04" + bytes(4096), None
    yield "jpeg 65535x65535", jpg.replace(struct.pack(">HH", 120, 160), b"\xff\xff\xff\xff"), DAMAGED
    yield "jpeg head only", jpg[:40], DAMAGED
    yield "gif 65535x65535", b"GIF89a\xff\xff\xff\xff\x80\0\0" + gif_of(1)[13:], "the video is 65535x65535"
    yield "gif of 10^5 frames", gif_of(100_000), "the video is longer than the 600 s"
    yield "gif of one frame", gif_of(1), None
    yield "mp4 without moov", good[:good.rindex(b"moov") - 4], BAD_HEAD
    yield "mp4 without mdat", mp4_with(box, lambda m: m)[:40] + good[good.rindex(b"moov") - 4:], "the video"
    yield "mp4 box of size 0", good[:32] + b"\0\0\0\0mdat" + good[40:], BAD_HEAD
    yield "mp4 box of size 1", good[:32] + b"\0\0\0\1mdat" + bytes(8) + good[48:], BAD_HEAD
    yield "mp4 box of 2^63", good[:32] + b"\0\0\0\1mdat\x7f" + b"\xff" * 7 + good[48:], BAD_HEAD
    nested = b""
    for _ in range(1000):
        nested = box_of(b"moov", nested)
    yield "mp4 nested 1000 deep", box_of(b"ftyp", b"isom\0\0\2\0isom") + nested, "the"
    yield "mp4 of 10^7 samples", mp4_with(box, long_table), "the video"
    yield "mp4 of 1000 tracks", mp4_with(box, thousand_tracks), BAD_HEAD
    yield "mp4 with data elsewhere", mp4_with(box, lambda m: m.replace(b"url \0\0\0\1", b"url \0\0\0\0")), None
    yield "mp4 time in 1/0 s", mp4_with(box, zero_timescale), None
    yield "mkv deflated gigabyte", mkv_bomb(), BAD_HEAD
    yield "mkv nested 1000 deep", mkv_nested(), "the"
    yield "mkv head only", ebml("1a45dfa3", ebml("4282", b"matroska")), "the"


def zero_timescale(moov):
    at = moov.index(b"mdhd") + 4
    return moov[:at + 12] + bytes(4) + moov[at + 16:]


def made_rows(box, d):
    """Files that ffmpeg makes; name, path, how the refusal begins (None: it is read)."""
    def make(name, *args):
        ffmpeg(*args, d / name)
        return d / name

    frames = ["-i", box / "good.mp4"]
    yield "only sound", make("a.mp4", "-f", "lavfi", "-i", "sine", "-t", 1), "the file has no video, only sound"
    yield "1000 channels of sound", make("c.mkv", "-f", "lavfi", "-i", "anullsrc=channel_layout=octagonal", "-t", 1,
                                         "-c:a", "pcm_s16le"), "the file has no video, only sound"
    yield "prores", make("p.mov", *frames, "-c:v", "prores_ks"), "the video is coded as prores; need h264"
    yield "raw video", make("r.mov", *frames, "-c:v", "rawvideo"), "the video is coded as rawvideo; need"
    yield "a screen codec", make("q.mkv", *frames, "-c:v", "zmbv"), "the video is coded as zmbv; need"
    yield "an hour at 1 fps", make("h.mp4", "-f", "lavfi", "-i", "color=s=16x16:r=1:d=3600", "-preset",
                                   "ultrafast"), "the video is longer than the 600 s"
    yield "a million frames a second", make("m.mp4", "-f", "lavfi", "-i", "color=s=16x16:r=1000000:d=0.01",
                                            "-preset", "ultrafast", "-video_track_timescale", 1000000), None
    yield "40000 frames", make("f.mp4", "-f", "lavfi", "-i", "color=s=16x16:r=100:d=400", "-preset",
                               "ultrafast"), "the video has more than 36000 frames"
    yield "times below zero", make("n.mp4", "-itsoffset", -1, *frames, "-c", "copy", "-copyts",
                                   "-avoid_negative_ts", "disabled"), None
    yield "encrypted", make("e.mp4", *frames, "-encryption_scheme", "cenc-aes-ctr", "-encryption_key",
                            "76a6c65c5ea762046bd749a2e632ccbb", "-encryption_kid",
                            "a7e61c373e219033c21091fa607bf3b8", "-c", "copy"), "the video is encrypted"
    yield "cover picture only", make("v.mp4", "-f", "lavfi", "-i", "sine=d=1", "-i", box / "good.png", "-map", 0, "-map",
                                     1, "-c:v:0", "png", "-disposition:v:0", "attached_pic"), "the file has no video"
    yield "5000x3000", make("b.mp4", "-f", "lavfi", "-i", "color=s=5000x3000:r=1:d=1", "-preset",
                            "ultrafast"), "the video is 5000x3000, at most 9 million pixels"
    parts = []
    for i, size in enumerate(("64x48", "320x240")):
        parts.append(make(f"{i}.ts", *frames, "-c:v", "libx264", "-vf",
                          f"scale={size.replace('x', ':')}").read_bytes())
    write(d / "both.ts", b"".join(parts))
    yield "size changes", make("w.mkv", "-i", d / "both.ts", "-c", "copy"), None


def cut_rows(box):
    for name in ("good.mp4", "first.mp4", "good.webm", "good.gif", "good.webp", "good265.mp4"):
        data = (box / name).read_bytes()
        for share in (0.02, 0.5, 0.8):
            yield f"{name} cut at {share}", data[:int(len(data) * share)]


def check_bounds(a, name):
    assert a.cpu_s <= CPU_LIMIT_S + 1.5, (name, a.cpu_s)
    assert a.memory_bytes <= MEMORY_LIMIT, (name, a.memory_bytes)
    assert a.signal in (0, 9, 24), (name, a.signal)
    assert a.error or a.is_whole or a.signal, name


def check(name, path, refusal):
    a = decoded.run(path)
    check_bounds(a, name)
    if refusal is None:
        assert a.error is None and a.is_whole, (name, a.error, a.signal)
        assert len(a.frames) == a.head["n_given"] > 0
    else:
        assert a.error and a.error.startswith(refusal), (name, a.error, a.signal)
    return a


def test_hostile_bytes_are_refused_in_words_and_within_bounds(box, tmp_path):
    wrong, most = [], [0, 0]
    for name, data, refusal in bytes_rows(box):
        try:
            a = check(name, write(tmp_path / "x", data), refusal)
            most = [max(most[0], a.cpu_s), max(most[1], a.memory_bytes)]
        except AssertionError as e:
            wrong.append(str(e).splitlines()[0])
    print(f"most: {most[0]:.2f} s of processor, {most[1] / 1e6:.0f} MB")
    assert not wrong, "\n".join(wrong)


def test_hostile_clips_are_refused_in_words_and_within_bounds(box, tmp_path):
    wrong = []
    for name, path, refusal in made_rows(box, tmp_path):
        try:
            check(name, path, refusal)
        except AssertionError as e:
            wrong.append(str(e).splitlines()[0])
    assert not wrong, "\n".join(wrong)


def test_cut_files_are_refused_or_said_to_be_cut(box, tmp_path):
    for name, data in cut_rows(box):
        a = decoded.run(write(tmp_path / "x", data))
        check_bounds(a, name)
        assert a.error or a.signal or a.warnings or a.head["n_frames"] < 20 or "webp" in name, name


@pytest.mark.parametrize("name", ["good.mp4", "good265.mp4", "good.webm", "goodav1.mp4", "good.gif", "good.jpg",
                                  "good.png", "good.webp"])
def test_flipped_bits_do_no_harm(box, tmp_path, name):
    data, luck = (box / name).read_bytes(), random.Random(name)
    for _ in range(8):
        copy = bytearray(data)
        for _ in range(luck.choice((1, 4, 40))):
            copy[luck.randrange(len(copy))] ^= 1 << luck.randrange(8)
        check_bounds(decoded.run(write(tmp_path / "x", copy)), name)


def test_a_file_that_takes_for_ever_is_ended(tmp_path):
    """Thousands of scans over 36 million pixels: 20 s of processor are over long before them."""
    a = decoded.run(write(tmp_path / "scans.jpg", jpeg_of_scans(12_000)))
    assert a.signal in (9, 24) and not a.frames
    assert a.cpu_s <= CPU_LIMIT_S + 1.5 and a.memory_bytes <= MEMORY_LIMIT


def test_nothing_is_opened_and_nobody_is_called(box, tmp_path):
    """By strace: after the doors are closed only computing, reading the file and writing frames."""
    names = ["good.png", "good.jpg", "good.webp", "good.mp4", "good265.mp4", "good.webm", "goodav1.mp4", "good.gif",
             "sound.mp4"]
    rows = [box / n for n in names]
    rows += [write(tmp_path / n, t.encode()) for n, t in TEXTS.items()]
    rows.append(write(tmp_path / "dref.mp4", mp4_with(box, lambda m: m.replace(b"url \0\0\0\1", b"url \0\0\0\0"))))
    for path in rows:
        trace = tmp_path / "trace"
        decoded.run(path, trace=trace)
        calls, is_closed = decoded.calls_in_jail(trace)
        assert is_closed and calls, path
        assert set(calls) <= decoded.ALLOWED, (path.name, set(calls) - decoded.ALLOWED)
        text = trace.read_text()
        assert "socket(" not in text and "connect(" not in text, path.name
        assert "passwd" not in "".join(line for line in text.splitlines() if "open" in line)


def test_what_is_handed_over_must_be_a_file():
    with subprocess.Popen([decoded.PROGRAM, "any", "64x48", "0", "0", "0"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, env={}) as p:
        out, _ = p.communicate(b"GIF89a")
    assert out == b"Ewhat was sent is not a file"
    p = subprocess.run([decoded.PROGRAM, "any", "64x"], capture_output=True, env={}, check=False)
    assert p.returncode == 64 and p.stderr.startswith(b"usage: misora-decode")
