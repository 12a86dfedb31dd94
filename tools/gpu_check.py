"""The steps of gpu_check.sh. Each is a row of the table: what, how it went, figures. A step that would not fit into what is left
of the budget is left out, with that as the reason; a failed one does not stop the others.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import time

B = "build/release"
OLDER = "build/older"  # the same without code for sm_90a: attention as on cards before Hopper
PROGRAMS = ["tests/parity/test_op_cuda", "tests/parity/test_cuda_model", "bench_engine", "bench_tasks"]
DIT = [("wan2.1-t2v-1.3b", "832x480", 81), ("wan2.2-ti2v-5b", "1280x704", 121)]


class Check:
    def __init__(self, out, only, budget):
        self.out, self.only, self.budget, self.start, self.rows = out, only.split(), budget, time.time(), []
        self.library = f"{B}/libmisora-cuda.so"
        os.makedirs(out, exist_ok=True)

    def left(self):
        return self.budget - (time.time() - self.start)

    def add(self, what, state, text="", **figures):
        self.rows.append(dict(what=what, state=state, text=text, **figures))
        print(f"[{time.time() - self.start:5.0f} s] {state:5} {what}: {text}", flush=True)
        with open(os.path.join(self.out, "gpu_check.json"), "w") as f:
            json.dump(dict(date=time.strftime("%Y-%m-%d %H:%M"), seconds=time.time() - self.start, rows=self.rows), f, indent=1)

    def wants(self, step, what, need_s):
        if self.only and step not in self.only:
            return False
        if self.left() > need_s:
            return True
        self.add(what, "skip", f"{need_s} s are needed, {self.left():.0f} are left")
        return False

    def run(self, name, command, timeout, stdin=None, env=None):
        """Exit status, output, seconds; the output also goes to a log."""
        start = time.time()
        try:
            p = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               timeout=max(5, min(timeout, self.left())),
                               env=dict(os.environ, MISORA_CUDA_LIBRARY=self.library, **(env or {})))
            code, text = p.returncode, p.stdout
        except subprocess.TimeoutExpired as e:
            code, text = 124, (e.stdout or b"").decode(errors="replace") + "\nran out of time"
        except OSError as e:
            code, text = 127, str(e)
        with open(os.path.join(self.out, name + ".log"), "w") as f:
            f.write(" ".join(command) + "\n" + text)
        return code, text, time.time() - start


def last(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no output"


def json_lines(text):
    found = []
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                found.append(json.loads(line))
            except ValueError:
                pass
    return found


def card(c):
    code, text, _ = c.run("card", ["nvidia-smi", "--query-gpu=name,memory.total,driver_version,compute_cap",
                                   "--format=csv,noheader"], 20)
    c.add("card", "ok" if code == 0 else "FAIL", last(text))
    return text.strip().split(",")[-1].strip().replace(".", "") if code == 0 else "90"


def build(c, arch):
    name = "90a" if arch == "90" else arch
    gencode = f"-gencode arch=compute_{name},code=sm_{name}"
    jobs = f"-j{os.cpu_count() or 4}"
    code, text, s = c.run("build", ["make", jobs, "CUDA=1", f"CUDA_GENCODE={gencode}", f"{B}/libmisora-cuda.so"] +
                          [f"{B}/{p}" for p in PROGRAMS], 240)
    c.add("build", "ok" if code == 0 else "FAIL", f"{s:.0f} s for sm_{name}" if code == 0 else last(text))
    return code == 0


def test(c, step, program, note=""):
    if not c.wants(step, program + note, 15):
        return False
    code, text, s = c.run(os.path.basename(program) + note.replace(" ", "_"), [f"{B}/{program}"], 60)
    is_real = "emulated" not in text
    failed = "; ".join(re.findall(r"^FAIL (\S+)", text, re.M))
    c.add(program + note, "ok" if code == 0 and is_real else "FAIL",
          f"{last(text)}, {s:.1f} s {failed}" + ("" if is_real else "; ONLY EMULATED"), nearest_to_limit=worst_of(text))
    return code == 0 and is_real


def tests(c, arch):
    """Where code for Hopper fails or hangs, the rest is told with that for older cards."""
    is_right = test(c, "ops", PROGRAMS[0])
    if arch == "90":
        newer = c.library
        if build_older(c):
            c.library = f"{OLDER}/libmisora-cuda.so"
            is_older_right = test(c, "ops", PROGRAMS[0], " without sm_90a")
            c.library = newer if is_right or not is_older_right else c.library
    test(c, "models", PROGRAMS[1])


def build_older(c):
    if c.only and "build" not in c.only:
        return os.path.exists(f"{OLDER}/libmisora-cuda.so")
    code, text, s = c.run("build_older", ["make", f"-j{os.cpu_count() or 4}", "CUDA=1", f"B={OLDER}",
                                          "CUDA_GENCODE=-gencode arch=compute_90,code=sm_90", f"{OLDER}/libmisora-cuda.so"], 120)
    c.add("build without sm_90a", "ok" if code == 0 else "FAIL", f"{s:.0f} s" if code == 0 else last(text))
    return code == 0


def worst_of(text):
    """Of every op the case that comes nearest to its limit."""
    worst = {}
    for m in re.finditer(r"^     (.{28}) +(\S+) +error (\S+) of (\S+)$", text, re.M):
        op, share = m[1].strip(), float(m[3]) / float(m[4])
        if not share <= worst.get(op, {"share": -1})["share"]:
            worst[op] = dict(shape=m[2], error=float(m[3]), limit=float(m[4]), share=share)
    return worst


def sanitize(c):
    tool = next((t for t in ("compute-sanitizer", "/usr/local/cuda/bin/compute-sanitizer") if run_ok([t, "--version"])), None)
    for kind, test, need in (("memcheck", "", 60), ("racecheck", "attention_agrees", 30), ("racecheck", "convolution", 30)):
        what = f"{kind} {test or 'all ops'}"
        if not c.wants("sanitize", what, need):
            continue
        if not tool:
            c.add(what, "skip", "there is no compute-sanitizer")
            continue
        code, text, s = c.run(f"{kind}_{test}", [tool, "--tool", kind, "--error-exitcode", "9", f"{B}/{PROGRAMS[0]}"] +
                              ([test] if test else []), need + 30)
        summary = [line for line in text.splitlines() if "SUMMARY" in line]
        c.add(what, "ok" if code == 0 else "FAIL", f"{summary[-1] if summary else last(text)}, {s:.0f} s")


def run_ok(command):
    try:
        return subprocess.run(command, capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def embedded(c):
    if not c.wants("embedded", "embedded model, 256x144x49, 4 steps", 20):
        return
    code, text, _ = c.run("embedded", [f"{B}/bench_tasks", "--model", "models/tiny", "--device", "cuda", "--tasks", "text", "--size",
                                       "256x144", "--frames", "49", "--steps", "4", "--repeat", "3"], 60)
    runs = [r for r in json_lines(text) if r.get("task") == "text" and "seconds" in r]
    if code or not runs:
        c.add("embedded model", "FAIL", last(text))
        return
    c.add("embedded model, prompt to frames", "ok", f"{runs[-1]['seconds']:.2f} s warm, {runs[0]['seconds']:.2f} s first "
          f"(text {runs[-1]['text']:.2f}, denoise {runs[-1]['denoise']:.2f}, decode {runs[-1]['decode']:.2f})", runs=runs)


def folder(c, like):
    path = os.path.join(os.environ.get("TMPDIR", "/tmp"), "misora-gpu-check", like)
    if os.path.exists(path + "/done"):
        return path
    code, text, s = c.run("make_" + like, [sys.executable, "train/make_random.py", "--like", like, path, "--text", "small"], 120)
    if code:
        c.add("random weights of " + like, "FAIL", last(text))
        return None
    open(path + "/done", "w").close()
    return path


def smi_used(c):
    code, text, _ = c.run("smi", ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"], 20)
    return int(last(text)) << 20 if code == 0 and last(text).isdigit() else 0


def ours(c, part, like, size, frames, runs):
    path = folder(c, like)
    if not path:
        return None
    command = [f"{B}/bench_engine", part, "--model", path, "--device", "cuda", "--size", size, "--frames", str(frames)]
    code, text, _ = c.run(f"{part}_{like}", command, 150, stdin="run\n" * (runs + 1))
    found = json_lines(text)
    if code or len(found) < runs + 2:
        c.add(f"{part} {like}", "FAIL", last(text))
        return None
    seconds = sorted(r["seconds"] for r in found[2:])
    return dict(seconds=seconds[len(seconds) // 2], flop=found[0]["linear"] + found[0]["attention"] + found[0]["conv"],
                bytes=found[-1]["weights_bytes"] + found[-1]["job_bytes"] + found[-1]["step_bytes"],
                allocs=sum(r["allocs"] for r in found[2:]), open_seconds=found[0]["open_seconds"])


def peer(c, part, like, size, frames, runs):
    code, text, _ = c.run(f"peer_{part}_{like}", [sys.executable, "tests/bench/gpu_peer.py", part, "--like", like, "--size", size, "--frames",
                                                  str(frames), "--runs", str(runs)], 150)
    found = json_lines(text)
    return (found[-1], "") if code == 0 and found else (None, last(text))


def without_hopper(c, like, size, frames):
    """The same pass with attention for older cards: which one is faster is decided here."""
    older, newer = f"{OLDER}/libmisora-cuda.so", c.library
    what = f"dit {like} without sm_90a"
    if newer == older or not os.path.exists(older) or not c.wants("dit", what, 30):
        return
    c.library = older
    mine = ours(c, "dit", like, size, frames, 2)
    c.library = newer
    if mine:
        c.add(what, "ok", f"{mine['seconds']:.3f} s, {mine['flop'] / mine['seconds'] / 1e12:.0f} TF/s", ours=mine)


def compare(c, step, part, like, size, frames, runs, need):
    what = f"{part} {like} {size}x{frames}"
    if not c.wants(step, what, need):
        return
    mine = ours(c, part, like, size, frames, runs)
    if not mine:
        return
    theirs, why = peer(c, part, like, size, frames, runs)
    text = f"{mine['seconds']:.3f} s, {mine['flop'] / mine['seconds'] / 1e12:.0f} TF/s, {mine['bytes'] / 2**30:.1f} GiB, " \
           f"{mine['allocs']} allocations, opened in {mine['open_seconds']:.0f} s"
    if theirs:
        text += f"; PyTorch {theirs['seconds']:.3f} s, {theirs['peak_bytes'] / 2**30:.1f} GiB: {theirs['seconds'] / mine['seconds']:.2f}x"
    else:
        text += f"; no peer: {why}"
    c.add(what, "ok", text, ours=mine, peer=theirs)


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--out", required=True)
    a.add_argument("--only", default="")
    a.add_argument("--budget", type=float, default=520)
    o = a.parse_args()
    c = Check(o.out, o.only, o.budget)
    arch = card(c)
    if (c.only and "build" not in c.only) or build(c, arch):
        tests(c, arch)
        embedded(c)
        compare(c, "dit", "dit", *DIT[0], 3, 60)
        without_hopper(c, *DIT[0])
        sanitize(c)
        compare(c, "decode", "decode", DIT[0][0], DIT[0][1], 21, 2, 40)
        compare(c, "dit", "dit", *DIT[1], 2, 90)
        compare(c, "decode", "decode", DIT[1][0], DIT[1][1], 17, 1, 60)
    print("\n| what | | |\n|---|---|---|")
    for r in c.rows:
        print(f"| {r['what']} | {r['state']} | {r['text']} |")
    bad = sum(r["state"] == "FAIL" for r in c.rows)
    print(f"{sum(r['state'] == 'ok' for r in c.rows)} passed, {bad} failed, {sum(r['state'] == 'skip' for r in c.rows)} skipped")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
