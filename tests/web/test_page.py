"""The web page in a real Chromium, through nginx, two servers and a real worker, with an API key. Every operation is
done once as a visitor does it; a picture of each stays in build/web."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from picture import png
from stack import ROOT, Stack

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (tools/install.sh test)")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed (tools/install.sh test)")
SHOTS = ROOT / "build" / "web"
DESK = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "color_scheme": "light"}


@pytest.fixture(scope="module")
def stack():
    SHOTS.mkdir(parents=True, exist_ok=True)
    with Stack(servers=2, workers=1, nginx=True, auth=True) as s:
        yield s


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        b = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield b
        b.close()


@pytest.fixture(scope="module")
def clips(stack):
    """Two finished clips, to make others from."""
    made = [stack.create(p, size="320x200", num_frames=13) for p in ("a red ball in a meadow", "a blue cube on the beach")]
    ended = [stack.wait_for(v["id"]) for v in made]
    assert [v["status"] for v in ended] == ["completed", "completed"], ended
    return ended


class Visit:
    """One visitor's page. What the browser complains about, and every address it asked, is kept."""

    def __init__(self, browser, stack, key, **look):
        self.context = browser.new_context(accept_downloads=True, **{**DESK, **look})
        self.page = self.context.new_page()
        self.stack, self.complaints, self.asked = stack, [], []
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("console", lambda m: m.type == "error" and "Failed to load resource" not in m.text and self.complaints.append(m.text))
        self.page.on("request", lambda r: self.asked.append(r.url))
        self.page.set_default_timeout(15000)
        if key:
            self.page.add_init_script(f"sessionStorage.setItem('misora.key', {json.dumps(key)})")

    def open(self, way=""):
        self.page.goto(f"{self.stack.url}/#{way}")
        self.page.wait_for_selector(".way[aria-selected=true]")
        return self.page

    def quick(self):
        """Two steps are enough to see the page work."""
        self.page.locator("summary", has_text="Fine tuning").click()
        self.page.get_by_label("Steps").fill("2")

    def make(self):
        """Sends the form and waits until the player shows the result; its id."""
        before = set(self.ids())
        self.page.locator(".go").click()
        job = self.until(lambda: next(iter(set(self.ids()) - before), None), "the job was not made")
        self.page.wait_for_selector(f"#gallery [data-id={job}].open", timeout=60000)
        self.plays()
        return job

    def plays(self):
        self.page.wait_for_selector("video.screen", timeout=60000)
        self.until(lambda: self.page.evaluate("(() => { const v = document.querySelector('video.screen'); return v.videoWidth > 0 && v.currentTime > 0; })()"),
                   "the video does not play")

    def until(self, what, say, seconds=15):
        """Not by sleeping: the browser's requests pass through this process while it waits."""
        for _ in range(seconds * 20):
            if value := what():
                return value
            self.page.wait_for_timeout(50)
        raise TimeoutError(say)

    def ids(self):
        return [v["id"] for v in self.stack.json("GET", "/v1/videos?limit=100")["data"]]

    def shot(self, name, **more):
        self.page.screenshot(path=SHOTS / f"{name}.png", **more)

    def close(self):
        self.context.close()
        assert not self.complaints, self.complaints
        assert all(u.startswith((self.stack.url, "blob:", "data:")) for u in self.asked), self.asked


@pytest.fixture
def visit(browser, stack):
    visits = []

    def open_one(key=stack.key, **look):
        visits.append(Visit(browser, stack, key, **look))
        return visits[-1]
    yield open_one
    for v in visits:
        v.close()


def test_the_page_and_its_files_say_what_they_may_do(stack):
    for path, kind in (("/", "text/html"), ("/web/app.js", "text/javascript"), ("/web/base.css", "text/css"), ("/web/icon.svg", "image/svg+xml")):
        reply = stack.call("GET", path)
        assert reply.status == 200 and reply.headers["content-type"].startswith(kind)
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        again = stack.call("GET", path, headers={"if-none-match": reply.headers["etag"]})
        assert again.status == 304 and again.body == b""
        assert stack.call("HEAD", path).body == b""
    assert stack.call("GET", "/web/nothing.js").status == 404
    assert stack.call("GET", "/web/../Makefile").status in (400, 404)


def test_a_key_is_asked_for_and_stays_in_the_tab(visit, stack):
    v = visit(key=None)
    page = v.open()
    page.wait_for_selector("#key-input")
    page.fill("#key-input", stack.key)
    page.get_by_text("Use this key").click()
    page.wait_for_selector("#status[data-state=good]")
    assert page.evaluate("sessionStorage.getItem('misora.key')") == stack.key
    assert stack.key not in page.evaluate("JSON.stringify(localStorage) + document.cookie")


def test_text_with_preview_and_progress(visit):
    v = visit()
    page = v.open("text")
    v.shot("welcome")
    page.fill("#prompt", "a dog runs")
    page.wait_for_selector(".preview:not([hidden])")
    page.get_by_text("Use these words").click()
    assert len(page.input_value("#prompt")) > len("a dog runs")
    page.get_by_label("Length").fill("1")
    page.locator("label", has_text="240p").click()
    page.locator(".go").click()
    page.wait_for_selector(".job progress")
    v.shot("making")
    v.plays()
    v.shot("text")


def test_an_image_file(visit, tmp_path):
    v = visit()
    page = v.open("image")
    (tmp_path / "frame.png").write_bytes(png())
    page.set_input_files("[data-slot=input_reference] input", tmp_path / "frame.png")
    page.fill("#prompt", "it begins to move")
    page.get_by_label("Length").fill("1")
    v.quick()
    v.make()
    v.shot("image")


def choose_clip(page, slot, clip):
    """By the dialog, as on a phone."""
    page.locator(f"[data-slot={slot}] .slot-pick").click()
    page.locator(f"dialog button[title='{clip['prompt']}']").first.click()
    page.wait_for_selector(f"[data-slot={slot}] video")


def test_an_edit_of_a_part(visit, clips):
    v = visit()
    page = v.open("edit")
    choose_clip(page, "video", clips[0])
    page.fill("#prompt", "a green ball in a meadow")
    page.get_by_label("Begins at").fill("0.4")
    page.wait_for_selector(".plan .piece.known")
    v.quick()
    job = v.make()
    assert v.stack.json("GET", f"/v1/videos/{job}")["operation"] == "edit"
    v.shot("edit")


def test_an_extension_at_both_ends_from_the_player(visit, clips):
    v = visit()
    page = v.open()
    page.locator(f"#gallery [data-id={clips[0]['id']}] .card-look").click()
    page.locator(".action-row").get_by_text("Extend").click()
    page.wait_for_selector("[data-slot=video] video")
    page.fill("#prompt", "a red ball in a meadow")
    page.locator("label", has_text="Both").click()
    page.locator("input[type=range][aria-label=Length]").fill("1")
    assert page.locator(".plan .piece").count() == 3
    v.quick()
    v.make()
    assert page.locator(".bar .mark.new").count() == 2 and page.locator(".bar .mark.known").count() == 1
    page.locator(".bar").focus()
    page.locator("[aria-label='Play or pause']").click()
    page.locator(".bar").press("Home")
    page.locator(".bar").press("ArrowRight")
    assert 0 < page.evaluate("document.querySelector('video.screen').currentTime") < 0.5
    v.shot("extend")


def test_a_connection_of_two_dragged_clips(visit, clips):
    v = visit()
    page = v.open("connect")
    for slot, clip in zip(("first_video", "second_video"), clips):
        page.locator(f"#gallery [data-id={clip['id']}]").drag_to(page.locator(f"[data-slot={slot}]"))
        page.wait_for_selector(f"[data-slot={slot}] video")
    page.get_by_label("New part").fill("1")
    v.quick()
    job = v.make()
    assert v.stack.json("GET", f"/v1/videos/{job}")["source_video_ids"] == [c["id"] for c in clips]
    v.shot("connect")


def test_a_loop(visit, clips):
    v = visit()
    page = v.open("loop")
    choose_clip(page, "video", clips[1])
    page.get_by_label("New part").fill("1")
    v.quick()
    v.make()
    v.shot("loop")


def fill_views(page):
    page.fill("#prompt", "a yellow ball beside a blue cube")


def fill_story(page):
    page.fill("#prompt", "a red ball in a meadow")
    for i in (1, 2):
        page.get_by_label(f"Shot {i}", exact=True).fill(("the ball lies still", "the ball rolls away")[i - 1])
        page.get_by_label(f"Seconds of shot {i}").fill("1")
        page.keyboard.press("Tab")


def fill_still(page):
    page.fill("#prompt", "a lighthouse on a cliff")
    page.locator("label", has_text="240p").click()


@pytest.mark.parametrize("way, fill", [("views", fill_views), ("story", fill_story), ("still", fill_still)])
def test_what_a_server_may_lack_is_made_or_refused_in_words(visit, way, fill):
    v = visit()
    page = v.open(way)
    before = page.locator("#gallery .card").count()
    fill(page)
    page.locator(".go").click()
    page.wait_for_selector(".absence:not([hidden]), .toast.bad, .job, .stage .screen, .stage .developing")
    if page.locator(".absence:not([hidden]), .toast.bad").count() == 0:
        v.until(lambda: page.locator("#gallery .card").count() > before, "it was not made", 60)
    else:
        words = page.locator(".absence:not([hidden]), .toast.bad").first.inner_text()
        assert len(words) > 10 and "undefined" not in words
    v.shot(way)


def run_call(language, code, folder, key):
    program = {"curl": ["bash", "-c", code], "python": [sys.executable, "-c", code], "js": ["node", "--input-type=module", "-e", code]}[language]
    p = subprocess.run(program, cwd=folder, capture_output=True, text=True, timeout=60,
                       env={**os.environ, "MISORA_API_KEY": key, "no_proxy": "*"})
    assert p.returncode == 0 and "video_" in p.stdout, (language, code, p.stdout, p.stderr)


def test_the_shown_calls_work_as_they_are(visit, stack, tmp_path):
    v = visit()
    page = v.open("image")
    (tmp_path / "it's.png").write_bytes(png())
    page.set_input_files("[data-slot=input_reference] input", tmp_path / "it's.png")
    page.fill("#prompt", "it's \"quoted\" and $HOME stays\n@second line")
    v.quick()
    page.locator("summary", has_text="API call").click()
    for way in ("image", "text"):
        page.locator(f"#way-{way}").click()
        for language in ("curl", "python", "js"):
            page.locator(f"[data-language={language}]").click()
            run_call(language, page.locator("pre").inner_text(), tmp_path, stack.key)
    # Forms of browsers and of Node end lines with CRLF.
    prompts = {x["prompt"].replace("\r\n", "\n") for x in stack.json("GET", "/v1/videos?limit=6")["data"]}
    assert prompts == {"it's \"quoted\" and $HOME stays\n@second line"}
    for x in stack.json("GET", "/v1/videos?limit=6")["data"]:
        stack.call("DELETE", "/v1/videos/" + x["id"])


def test_the_gallery_downloads_and_deletes(visit, clips, stack):
    v = visit()
    page = v.open()
    gone = stack.create("a clip to be deleted", num_frames=5)
    stack.wait_for(gone["id"])
    page.reload()
    card = page.locator(f"#gallery [data-id={clips[0]['id']}]")
    card.get_by_label("Actions").click()
    with page.expect_download() as found:
        page.locator("dialog").get_by_text("Download").click()
    assert pathlib.Path(found.value.path()).read_bytes() == stack.call("GET", f"/v1/videos/{clips[0]['id']}/content").body
    page.locator(f"#gallery [data-id={gone['id']}]").get_by_label("Actions").click()
    page.locator("dialog").get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_selector(f"#gallery [data-id={gone['id']}]", state="detached")
    assert stack.call("GET", f"/v1/videos/{gone['id']}").status == 404


def test_without_event_streams_it_polls(visit):
    v = visit()
    v.page.route("**/events", lambda r: r.abort())
    page = v.open("text")
    page.fill("#prompt", "a red ball in a meadow")
    page.get_by_label("Length").fill("1")
    v.quick()
    v.make()
    assert any("after_progress" in u for u in v.asked)


@pytest.mark.parametrize("look", ["dark", "light"])
def test_nobody_is_left_out(visit, clips, look):
    """axe finds nothing: names, contrast, roles."""
    axe = (pathlib.Path(os.environ.get("NODE_PATH", ROOT / "build" / "node" / "node_modules")) / "axe-core" / "axe.min.js")
    v = visit(color_scheme=look, reduced_motion="reduce")
    page = v.open()
    page.wait_for_selector("#gallery .card")
    page.evaluate(axe.read_text())
    for way in ("text", "edit", "story"):
        page.locator(f"#way-{way}").click()
        found = page.evaluate("axe.run().then((r) => r.violations.map((v) => [v.id, v.impact, v.nodes.map((n) => n.html + ' ' + n.failureSummary)]))")
        assert not found, json.dumps(found, indent=1)[:3000]
    page.locator("#way-text").click()
    page.keyboard.press("ArrowRight")
    assert page.locator("#way-image").get_attribute("aria-selected") == "true"
    v.shot(f"look-{look}")


def test_it_fits_a_phone(visit, clips):
    v = visit(**PHONE)
    page = v.open("extend")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    choose_clip(page, "video", clips[0])
    v.shot("phone-extend")
    page.locator(f"#gallery [data-id={clips[1]['id']}] .card-look").tap()
    page.wait_for_selector("video.screen")
    page.wait_for_timeout(400)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    v.shot("phone-player")
