"""kill -9 of redis-server under load, and appends cut at any byte: nothing acknowledged is lost, nothing is half done.

usage: crash.py [--kills N] [--cuts N] [--seed S]

Kills: clients submit, claim, beat and complete until the server is killed; after its restart every
acknowledged job and result is there and the audit is clean. Cuts: the append-only file of the last
server is cut at a random byte, as a power loss would leave it; whatever loads must be consistent.
"""
import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from invariants import Violation, expect
from jobs import META, Queue, library
from wire import Redis, RedisError

CLIENTS = 4
LOAD_S = 0.7


class Server:
    """A redis-server with an append-only file that may be killed and started again."""

    def __init__(self, folder: str) -> None:
        self.folder, self.path = folder, os.path.join(folder, "s")
        self.process = None

    def start(self, is_must: bool = True) -> bool:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        command = ["redis-server", "--port", "0", "--unixsocket", self.path, "--dir", self.folder, "--save", "",
                   "--appendonly", "yes", "--appendfsync", "always", "--aof-load-truncated", "yes"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            with contextlib.suppress(OSError, RedisError, ConnectionError):
                if Redis(self.path)("PING") == "PONG":
                    return True
            if self.process.poll() is not None:
                expect(not is_must, "redis-server does not start after a kill")
                return False
            time.sleep(0.02)
        raise Violation("redis-server does not answer")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Ledger:
    """What the server acknowledged to one client, and no more."""

    def __init__(self) -> None:
        self.jobs: set = set()
        self.done: dict = {}


def work(server: Server, name: str, ledger: Ledger) -> None:
    """Makes and finishes jobs until the server dies."""
    n = 0
    with contextlib.suppress(OSError, ConnectionError, ValueError):
        queue = Queue(Redis(server.path))
        while True:
            n += 1
            job_id = "job_%s_%d" % (name, n)
            queue.submit(job_id, tenant="t%d" % (n % 3), idem="k" + job_id, hook="https://one.example/x")
            ledger.jobs.add(job_id)
            reply = queue.claim(name, "n%s%d" % (name, n))
            if reply[0] != "OK" or n % 3 == 0:
                continue
            queue.beat(reply[1], reply[2], 50, ckpt="ck" + job_id)
            if queue.complete(reply[1], reply[2])[0] == "OK":
                ledger.done[reply[1]] = reply[2]


def kill_under_load(server: Server, round_name: str) -> Ledger:
    ledgers = [Ledger() for _ in range(CLIENTS)]
    threads = [threading.Thread(target=work, args=(server, "%sc%d" % (round_name, i), ledger))
               for i, ledger in enumerate(ledgers)]
    for thread in threads:
        thread.start()
    time.sleep(LOAD_S)
    server.kill()
    for thread in threads:
        thread.join()
    whole = Ledger()
    for ledger in ledgers:
        whole.jobs |= ledger.jobs
        whole.done.update(ledger.done)
    return whole


def check_ledger(queue: Queue, ledger: Ledger) -> None:
    jobs = queue.jobs(sorted(ledger.jobs))
    lost = [i for i, job in jobs.items() if not job]
    expect(not lost, "I12", len(lost), "acknowledged jobs are lost:", lost[:3])
    for job_id, lease in ledger.done.items():
        job = queue.job(job_id)
        expect(job.get("st") == "succeeded" and job["done_lease"] == lease, "I13 the result of", job_id, "is lost:", job)
    problems = queue.audit()
    expect(not problems, "the audit says", problems[:3])


def run_kills(server: Server, n_kills: int):
    n_jobs = n_done = 0
    recovery = []
    for n in range(n_kills):
        ledger = kill_under_load(server, "r%d" % n)
        began = time.monotonic()
        server.start()
        recovery.append(time.monotonic() - began)
        check_ledger(Queue(Redis(server.path)), ledger)
        n_jobs += len(ledger.jobs)
        n_done += len(ledger.done)
    return n_jobs, n_done, max(recovery, default=0)


def append_file(folder: str) -> str:
    names = [name for name in os.listdir(os.path.join(folder, "appendonlydir")) if name.endswith(".incr.aof")]
    return os.path.join("appendonlydir", sorted(names)[-1])


def run_cuts(server: Server, n_cuts: int, rnd: random.Random) -> int:
    """Cuts the file of the killed server at random bytes; returns how many of these loaded."""
    n_loaded, name = 0, append_file(server.folder)
    size = os.path.getsize(os.path.join(server.folder, name))
    for _ in range(n_cuts):
        with tempfile.TemporaryDirectory(prefix="misora-cut.") as folder:
            shutil.copytree(os.path.join(server.folder, "appendonlydir"), os.path.join(folder, "appendonlydir"))
            cut = rnd.randrange(size // 10, size)
            os.truncate(os.path.join(folder, name), cut)
            copy = Server(folder)
            if copy.start(is_must=False):
                queue = Queue(Redis(copy.path))
                queue.redis("FUNCTION", "LOAD", "REPLACE", library())
                problems = queue.audit()
                copy.kill()
                expect(not problems, "cut at", cut, "of", size, ": the audit says", problems[:3])
                n_loaded += 1
    return n_loaded


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--cuts", type=int, default=5)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="misora-crash.")
    server = Server(folder)
    try:
        server.start()
        redis = Redis(server.path)
        redis("FUNCTION", "LOAD", "REPLACE", library())
        redis("HSET", META, "schema", "1", "max_live", 10**6, "max_lane", 10**6, "max_run", 10**6)
        n_jobs, n_done, recovery = run_kills(server, args.kills)
        server.kill()
        n_loaded = run_cuts(server, args.cuts, random.Random(args.seed))
    except Violation as violation:
        print("VIOLATION (seed %d): %s" % (args.seed, violation))
        return 1
    finally:
        server.kill()
        shutil.rmtree(folder)
    print("crash: %d kills, %d jobs and %d results acknowledged, 0 lost, back in %.2f s at most; "
          "%d of %d cut files loaded, 0 inconsistent (seed %d)"
          % (args.kills, n_jobs, n_done, recovery, n_loaded, args.cuts, args.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
