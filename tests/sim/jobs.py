"""The job functions as the simulator sees them: calls, a clock in its hand, and records to look at."""
import glob
import os

from wire import Redis

PREFIX = "{sim}:"
META = PREFIX + "meta"
ENDED = {"succeeded", "failed", "canceled", "expired"}
WAITING = {"queued", "scheduled"}
HOOKS_OF = {"succeeded": ["completed"], "failed": ["failed"], "expired": ["failed"],
            "canceled": ["failed", "cancelled"]}
HOOK_TYPES = ["completed", "failed", "cancelled", "in_progress"]
START_MS = 1_700_000_000_000
LEASE_MS = 30000
NO_HOOK = ""


def library() -> str:
    """The text of the library, as the build embeds it: the functions, then the migrations."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    parts = [part for folder in ("common/lua", "migrations")
             for part in sorted(glob.glob(os.path.join(root, folder, "*.lua")))]
    return "".join(open(part, encoding="utf-8").read() for part in parts)


class Queue:
    """One namespace on one server. The clock stands still unless somebody moves it."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.now = START_MS

    def reset(self, **meta) -> None:
        self.redis("FLUSHALL")
        self.now = START_MS
        self.redis("HSET", META, "schema", "1", "test_clock_ms", self.now)
        for name, value in meta.items():
            self.redis("HSET", META, name, value)

    def pass_time(self, ms: int) -> None:
        self.now += ms
        self.redis("HSET", META, "test_clock_ms", self.now)

    def call(self, name: str, *args):
        return self.redis("FCALL", name, 1, META, *args)

    # --- calls with the arguments that a test seldom cares about ---

    def submit(self, job_id, tenant="t1", lane="l", prio=5, cost=10, fp="f", idem="", idemttl=600000, delay=0,
               qttl=0, runms=0, maxtry=3, hook=NO_HOOK, hev="completed,failed", keep=0):
        return self.call("job_submit", job_id, tenant, lane, prio, cost, "{}", "sha", fp, idem, idemttl, delay,
                         qttl, runms, maxtry, hook, hev, keep)

    def claim(self, worker, nonce, *lanes):
        return self.call("job_claim", worker, nonce, LEASE_MS, *(lanes or ("l",)))

    def beat(self, job_id, lease, progress=0, phase="denoise", step=0, steps=10, eta=-1, ckpt=""):
        return self.call("job_beat", job_id, lease, LEASE_MS, progress, phase, step, steps, eta, ckpt)

    def complete(self, job_id, lease):
        return self.call("job_complete", job_id, lease, '{"key":"%s"}' % lease)

    def fail(self, job_id, lease, why, delay=0, ckpt="", code="internal_error", message="words"):
        return self.call("job_fail", job_id, lease, why, code, message, delay, ckpt)

    def tick(self, delay=2000, most=50):
        return self.call("job_tick", LEASE_MS, delay, most)

    # --- looking ---

    def key(self, *parts) -> str:
        return PREFIX + ":".join(parts)

    def job(self, job_id) -> dict:
        flat = self.redis("HGETALL", self.key("job", job_id))
        return dict(zip(flat[::2], flat[1::2]))

    def jobs(self, job_ids) -> dict:
        replies = self.redis.many([("HGETALL", self.key("job", i)) for i in job_ids])
        return {i: dict(zip(flat[::2], flat[1::2])) for i, flat in zip(job_ids, replies)}

    def members(self, *parts) -> list:
        return self.redis("ZRANGE", self.key(*parts), 0, -1)

    def score(self, name, member):
        value = self.redis("ZSCORE", self.key(*name) if isinstance(name, tuple) else self.key(name), member)
        return None if value is None else float(value)

    def set_of(self, *parts) -> set:
        return set(self.redis("SMEMBERS", self.key(*parts)))

    def events(self, job_id) -> list:
        """Kinds of the events of a job, oldest first."""
        return [self.fields(row)["t"] for row in self.redis("XRANGE", self.key("ev", job_id), "-", "+")]

    @staticmethod
    def fields(row) -> dict:
        return dict(zip(row[1][::2], row[1][1::2]))

    def has_pending_hook(self, job_id) -> bool:
        return any(self.score(s, "%s:%s" % (job_id, kind)) is not None
                   for s in ("whdue", "whrun") for kind in HOOK_TYPES)

    def audit(self) -> list:
        """What the library itself says about every key."""
        problems = []
        for key in self.redis("KEYS", PREFIX + "*"):
            reply = self.call("job_audit", key[len(PREFIX):], "0")
            problems += reply[2:]
        return problems
