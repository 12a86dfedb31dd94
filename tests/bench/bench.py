"""The benchmarks of the engine, one JSON object a line: {"bench":"dit_step.peak_share","value":0.71,"unit":"ratio"}.

    python3 tests/bench/bench.py BUILD_DIR [ROW..]        (--list names the rows)

A value is the median of runs. Around every run all cores are probed with multiply-adds that live in registers; a run
whose slower probe is under 95 % of the best seen is thrown away and repeated, at most REPEATS times in a row. When the
machine stays busy the value is printed all the same with "quiet":false. Peers take turns with us. A share of the peak
divides by the best that each core gave in any probe of the row, counted by processor time. BENCH_RUNS=1 runs everything once.

Folders of random weights are made once, in build/bench-models (or BENCH_MODELS). BENCH_PYTHON is a Python with torch,
diffusers and transformers; `tools/install.sh bench` makes build/benchenv. What cannot run here is told with its reason
and counted in the last line.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODELS = os.environ.get("BENCH_MODELS", os.path.join(ROOT, "build", "bench-models"))
PYTHON = os.environ.get("BENCH_PYTHON", os.path.join(ROOT, "build", "benchenv", "bin", "python"))
BASE, TI2V, UMT5 = "wan2.1-t2v-1.3b", "wan2.2-ti2v-5b", "umt5-xxl"
NEEDS_GB = {BASE: 4, TI2V: 14, UMT5: 12}
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
REPEATS = int(os.environ.get("BENCH_REPEATS", "3"))
QUIET = 0.95
build = ""
skips = []


class Skip(Exception):
    pass


def emit(bench, value, unit, **more):
    print(json.dumps({"bench": bench, "value": round(value, 4) if isinstance(value, float) else value, "unit": unit, **more},
                     separators=(",", ":")), flush=True)


def model(name):
    """The folder of a model, made when it is not there."""
    path = os.path.join(MODELS, name)
    if os.path.exists(os.path.join(path, "done")):
        return path
    os.makedirs(MODELS, exist_ok=True)
    if shutil.disk_usage(MODELS).free < (NEEDS_GB[name] + 2) << 30:
        raise Skip(f"{name} needs {NEEDS_GB[name]} GB of disk in {MODELS}")
    python = PYTHON if os.path.exists(PYTHON) else sys.executable
    subprocess.run([python, os.path.join(ROOT, "train", "make_random.py"), "--like", name, path], check=True, stderr=subprocess.DEVNULL)
    open(os.path.join(path, "done"), "w").close()
    return path


def need_memory(gb):
    with open("/proc/meminfo") as f:
        free = int(next(line for line in f if line.startswith("MemAvailable")).split()[1]) / 1e6
    if free < gb:
        raise Skip(f"needs {gb} GB of memory, {free:.1f} GB are free")


class Peer:
    """A process that runs one part on demand."""

    def __init__(self, *command):
        env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.about = self.answer()

    def answer(self):
        line = self.p.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.p.args} ended with {self.p.wait()}")
        return json.loads(line)

    def ask(self, command):
        self.p.stdin.write(command + "\n")
        self.p.stdin.flush()
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.stdin.close()
        self.p.kill()
        self.p.wait()

    @property
    def flop(self):
        return self.about["linear"] + self.about["attention"] + self.about["conv"]


def engine(part, folder, **flags):
    words = [w for k, v in flags.items() for w in ("--" + k, str(v))]
    return Peer(os.path.join(build, "bench_engine"), part, "--model", folder, *words)


def torch(part, folder, **flags):
    if not os.path.exists(PYTHON):
        raise Skip(f"{PYTHON} is not there (tools/install.sh bench)")
    words = [w for k, v in flags.items() for w in ("--" + k, str(v))]
    return Peer(PYTHON, os.path.join(ROOT, "tests", "bench", "pytorch_peer.py"), part, "--model", folder, "--threads",
                str(len(os.sched_getaffinity(0))), *words)


class Prober:
    """Remembers the best that each core gave of each kind, by processor time."""

    def __init__(self, peer):
        self.peer, self.best = peer, {}

    def once(self, kind):
        answer = self.peer.ask("probe " + kind)
        if not answer["probe"]:
            raise Skip(f"this processor has no {kind}")
        self.best[kind] = [max(a, b) for a, b in zip(answer["core"], self.best.get(kind, answer["core"]))]
        return answer["probe"]

    def is_quiet(self, kind, rates):
        return all(r >= QUIET * b for r, b in zip(rates, self.best[kind]))


class Sample:
    def __init__(self, answer, before, after, is_quiet):
        self.answer, self.is_quiet = answer, is_quiet
        self.around = max(sum(before), sum(after))
        self.peak = self.around
        self.slow = min(min(before), min(after))


def once(peer, prober, kind):
    """One run; the one with the best probes when none was quiet."""
    tries = []
    for _ in range(REPEATS):
        before = prober.once(kind)
        answer = peer.ask("run")
        after = prober.once(kind)
        tries.append(Sample(answer, before, after, prober.is_quiet(kind, before) and prober.is_quiet(kind, after)))
        if tries[-1].is_quiet:
            return tries[-1]
    return max(tries, key=lambda s: s.slow)


def turns(peers, kind, n=RUNS, prober=None):
    """n runs of each peer, by turns: {name: [samples]}."""
    prober = prober or Prober(next(iter(peers.values())))
    out = {name: [] for name in peers}
    for _ in range(n):
        for name, peer in peers.items():
            out[name].append(once(peer, prober, kind))
    for samples in out.values():
        for s in samples:
            s.peak = sum(prober.best[kind])
    return out


def seconds(samples):
    return statistics.median(s.answer["seconds"] for s in samples)


def noise(samples):
    """What a reader must know of the runs behind a value."""
    out = {"n": len(samples), "peak": round(samples[0].peak, 1), "probe": round(statistics.median(s.around for s in samples), 1),
           "spread": [round(min(s.answer["seconds"] for s in samples), 3), round(max(s.answer["seconds"] for s in samples), 3)]}
    if not all(s.is_quiet for s in samples):
        out["quiet"] = False
    return out


def share(samples, flop):
    return statistics.median(flop / s.answer["seconds"] / s.peak * 1e-9 for s in samples)


def cpu_share(samples, flop):
    """The share that the processor time alone would give: what others took of the machine is not counted."""
    n = len(os.sched_getaffinity(0))
    return round(statistics.median(n * flop / s.answer["cpu_seconds"] / s.peak * 1e-9 for s in samples), 3)


def report(name, peer, samples, shape):
    """Seconds, share of the peak and memory of one part."""
    more = noise(samples)
    emit(name + ".seconds", seconds(samples), "s", shape=shape, tflop=round(peer.flop * 1e-12, 3), **more)
    emit(name + ".peak_share", share(samples, peer.flop), "ratio", by_processor_time=cpu_share(samples, peer.flop), **more)
    emit(name + ".rss_bytes", max(s.answer["rss_bytes"] for s in samples), "B")
    spent = samples[-1].answer["spent"]
    total = sum(spent.values())
    emit(name + ".parts", seconds(samples), "s", **{k: round(v / total, 3) for k, v in spent.items() if v > 0})


def ratio(name, ours, theirs, **more):
    """How many times as fast as a peer we are."""
    quiet = {} if all(s.is_quiet for s in ours + theirs) else {"quiet": False}
    emit(name, seconds(theirs) / seconds(ours), "ratio", peer_seconds=round(seconds(theirs), 3), **more, **quiet)


def dit_step():
    folder = model(BASE)
    with engine("dit", folder, precision="bf16") as a:
        report("dit_step", a, turns({"engine": a}, "bf16")["engine"], "256x256x17")


def dit_vs_pytorch():
    folder = model(BASE)
    with engine("dit", folder, precision="bf16") as a, torch("dit", folder, rows=31) as b:
        got = turns({"engine": a, "torch": b}, "bf16")
        ratio("dit_step.vs_pytorch", got["engine"], got["torch"], peer=b.about["device"])


def dit_vs_pytorch_compiled():
    """PyTorch at its strongest: blocks compiled ahead of time."""
    folder = model(BASE)
    with engine("dit", folder, precision="bf16") as a, torch("dit", folder, rows=31, variant="compile") as b:
        b.ask("run")
        got = turns({"engine": a, "torch": b}, "bf16")
        ratio("dit_step.vs_pytorch_compiled", got["engine"], got["torch"], peer=b.about["device"])


def dit_step_int8():
    folder = model(BASE)
    with engine("dit", folder, precision="bf16") as a, engine("dit", folder, precision="int8") as b:
        got = turns({"bf16": a, "int8": b}, "bf16")
        b_int8 = turns({"int8": b}, "int8", n=1)
        emit("dit_step_int8.seconds", seconds(got["int8"]), "s", shape="256x256x17", **noise(got["int8"]))
        emit("dit_step_int8.peak_share", share(b_int8["int8"], b.flop), "ratio", of="int8 peak")
        emit("dit_step_int8.rss_bytes", max(s.answer["rss_bytes"] for s in got["int8"]), "B")
        ratio("dit_step_int8.vs_bf16", got["int8"], got["bf16"])


def read_floats(path):
    import array
    out = array.array("f")
    with open(path, "rb") as f:
        out.frombytes(f.read())
    return out


def compare(want, got):
    """(cosine, relative L2)"""
    dot = sum(a * b for a, b in zip(want, got))
    a2, b2 = sum(a * a for a in want), sum(b * b for b in got)
    return dot / (a2 * b2) ** 0.5, (sum((a - b) ** 2 for a, b in zip(want, got)) / a2) ** 0.5


def precision():
    """How far the velocity of one pass is from that of f32, random weights and the embedded model."""
    for label, folder in (("random_1.3b", model(BASE)), ("tiny", os.path.join(ROOT, "models", "tiny"))):
        result = {}
        with tempfile.TemporaryDirectory() as tmp:
            for p in ("f32", "bf16", "int8"):
                try:
                    with engine("dit", folder, precision=p, frames=5) as e:
                        e.ask("run")
                        e.ask("save " + os.path.join(tmp, p))
                        result[p] = read_floats(os.path.join(tmp, p))
                except RuntimeError:
                    skip(f"precision.{label}.{p}", "the engine refuses it here")
        for p in ("bf16", "int8"):
            if p in result:
                cosine, l2 = compare(result["f32"], result[p])
                emit(f"precision.{label}.{p}.relative_l2", l2, "ratio", cosine=round(cosine, 6), shape="256x256x5")


def dit_step_avx2():
    folder = model(BASE)
    need_memory(7)
    with engine("dit", folder, precision="f32", isa="avx2") as a:
        got = turns({"engine": a}, "f32_avx2")
        report("dit_step_avx2", a, got["engine"], "256x256x17")


def dit_step_f32():
    folder = model(BASE)
    need_memory(7)
    with engine("dit", folder, precision="f32") as a, engine("blas", folder) as b:
        got = turns({"engine": a, "blas": b}, "f32_avx512")
        report("dit_step_f32", a, got["engine"], "256x256x17")
        emit("openblas_f32.peak_share", share(got["blas"], b.flop), "ratio", what="products of a block, 1280 rows")
        linear = statistics.median(s.answer["spent"]["linear"] for s in got["engine"])
        ours, theirs = a.about["linear"] / linear, b.flop / seconds(got["blas"])
        emit("dit_step_f32.vs_openblas", ours / theirs, "ratio", what="rate of products")


def vae_decode(name, label):
    folder = model(name)
    with engine("decode", folder, precision="bf16") as a:
        got = turns({"engine": a}, "bf16")
        report(label, a, got["engine"], "256x256x17")


def vae_against_torch(name, label):
    """One latent after the first, since all after the first cost the same."""
    folder = model(name)
    with engine("decode", folder, precision="bf16", frames=5) as a, torch("decode", folder, frames=5, variant="channels_last") as b:
        got = turns({"engine": a, "torch": b}, "bf16")
        ratio(label + ".vs_pytorch", got["engine"], got["torch"], shape="256x256x5", peer=b.about["device"])


def vae_decode_2_1():
    vae_decode(BASE, "vae_decode_2_1")


def vae_decode_2_2():
    vae_decode(TI2V, "vae_decode_2_2")


def vae_2_1_vs_pytorch():
    vae_against_torch(BASE, "vae_decode_2_1")


def vae_2_2_vs_pytorch():
    vae_against_torch(TI2V, "vae_decode_2_2")


def warm(folder):
    """The files into the page cache, so that the disk is not what is measured."""
    for d, _, files in os.walk(folder):
        for name in files:
            with open(os.path.join(d, name), "rb", buffering=0) as f:
                while f.read(1 << 24):
                    pass


def text_encode():
    folder = model(UMT5)
    need_memory(13)
    warm(folder)
    with engine("text", folder, rows=30) as a:
        a.ask("run")
        got = turns({"engine": a}, "bf16")["engine"]
        read = max(sum(a.ask("probe read")["probe"]) for _ in range(3))
        bound = a.about["weight_bytes"] / read * 1e-9
        report("text_encode", a, got, "30 tokens")
        emit("text_encode.vs_reading", seconds(got) / bound, "ratio", reading_seconds=round(bound, 3), read_gb_s=round(read, 1))
        floor = max(bound, a.flop / statistics.median(s.peak for s in got) * 1e-9)
        emit("text_encode.vs_floor", seconds(got) / floor, "ratio", floor_seconds=round(floor, 3), what="reading or multiplying, whichever takes longer")


def gen(*flags, steps=None):
    """Runs the program as people do: (seconds, largest resident memory)."""
    with tempfile.TemporaryDirectory() as tmp:
        start = time.monotonic()
        p = subprocess.Popen([os.path.join(build, "misora"), "gen", "--prompt", "a red ball bounces in a green meadow", "-o",
                              os.path.join(tmp, "clip.mp4"), *flags], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = p.stderr.read()
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        if p.returncode:
            raise Skip(said.strip().splitlines()[-1] if said.strip() else f"misora gen ended with {p.returncode}")
        return time.monotonic() - start, usage.ru_maxrss * 1024


def embedded_clip():
    """The embedded model as people meet it: from the prompt to an mp4, at its largest trained size, with guidance."""
    folder = os.path.join(ROOT, "models", "tiny")
    with open(os.path.join(folder, "transformer", "config.json")) as f:
        c = json.load(f)["misora"]
    size, passes = f"{c['width']}x{c['height']}", c["steps"] * (2 if c["guidance"] > 1 else 1)
    with engine("clip", folder, size=size, frames=c["frames"], steps=passes) as count:
        prober, runs = Prober(count), []
        for _ in range(5):
            before = prober.once("bf16")
            took, rss = gen("--model", folder)
            after = prober.once("bf16")
            runs.append(Sample({"seconds": took, "rss_bytes": rss}, before, after,
                               prober.is_quiet("bf16", before) and prober.is_quiet("bf16", after)))
        for s in runs:
            s.peak = sum(prober.best["bf16"])
        runs = [s for s in runs if s.is_quiet] or runs
        emit("embedded_clip.seconds", seconds(runs), "s", shape=f"{size}x{c['frames']}", passes=passes, tflop=round(count.flop * 1e-12, 3), **noise(runs))
        emit("embedded_clip.peak_share", share(runs, count.flop), "ratio", **noise(runs))
        emit("embedded_clip.rss_bytes", max(s.answer["rss_bytes"] for s in runs), "B")


def memory():
    """A step twice and a decode: nothing is taken after the first step, so twenty have the same peak."""
    folder, steps = model(BASE), int(os.environ.get("BENCH_STEPS", "2"))
    with engine("clip", folder, precision="bf16", steps=steps) as a:
        got = a.ask("run")
        emit("memory.without_text.rss_bytes", got["rss_bytes"], "B", steps=steps, allocations_after_first=a.ask("run")["allocs"] if steps == 2 else None)
    full = os.path.join(MODELS, BASE + "-full")
    text = model(UMT5)
    os.makedirs(full, exist_ok=True)
    for part, source in [(p, folder) for p in ("transformer", "vae", "scheduler", "tokenizer", "model_index.json")] + [("text_encoder", text)]:
        if not os.path.lexists(os.path.join(full, part)):
            os.symlink(os.path.abspath(os.path.join(source, part)), os.path.join(full, part))
    took, rss = gen("--model", full, "--size", "256x256", "--frames", "17", "--steps", str(steps), "--guidance", "1")
    emit("memory.full.rss_bytes", rss, "B", steps=steps, seconds=round(took, 1))


def growth():
    """Cost against the number of tokens and frames, and memory against the length of a streamed clip."""
    folder = model(BASE)
    for size, frames in (("256x256", 1), ("256x256", 5), ("256x256", 17), ("480x272", 17)):
        with engine("dit", folder, precision="bf16", size=size, frames=frames) as a:
            got = turns({"engine": a}, "bf16", n=1)["engine"]
            spent = got[0].answer["spent"]
            emit(f"growth.tokens_{a.about['tokens']}.seconds", seconds(got), "s", shape=f"{size}x{frames}", peak_share=round(share(got, a.flop), 3),
                 attention_share_of_time=round(spent["attention"] / sum(spent.values()), 3),
                 attention_share_of_work=round(a.about["attention"] / a.flop, 3), **noise(got))
    for frames in (5, 9, 17):
        with engine("decode", folder, precision="bf16", size="128x128", frames=frames) as a:
            got = turns({"engine": a}, "bf16", n=1)["engine"]
            emit(f"growth.decode_{frames}.seconds", seconds(got), "s", shape=f"128x128x{frames}", rss_bytes=got[0].answer["rss_bytes"],
                 peak_share=round(share(got, a.flop), 3), **noise(got))
    for frames in (49, 145, 289, 721):
        took, rss = gen("--model", os.path.join(ROOT, "models", "tiny"), "--frames", str(frames), "--steps", "1", "--guidance", "1")
        emit(f"growth.clip_{frames}.rss_bytes", rss, "B", seconds=round(took, 2))


ROWS = [dit_step, dit_vs_pytorch, vae_decode_2_1, vae_decode_2_2, text_encode, embedded_clip, dit_step_int8, dit_step_avx2, dit_step_f32, memory,
        precision, vae_2_1_vs_pytorch, vae_2_2_vs_pytorch, growth]
ON_DEMAND = [dit_vs_pytorch_compiled]  # minutes of compiling


def skip(name, reason):
    skips.append(name)
    print(json.dumps({"bench": name, "skipped": reason}), flush=True)


def main():
    global build
    names = {r.__name__: r for r in ROWS + ON_DEMAND}
    if "--list" in sys.argv:
        print("\n".join(names))
        return
    build = os.path.abspath(sys.argv[1])
    failed = 0
    for name in sys.argv[2:] or [r.__name__ for r in ROWS]:
        try:
            names[name]()
        except Skip as e:
            skip(name, str(e))
        except Exception as e:  # one row must not take the others with it
            failed += 1
            print(json.dumps({"bench": name, "failed": str(e)}), flush=True)
    print(json.dumps({"bench": "rows", "skipped": len(skips), "failed": failed}), flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
