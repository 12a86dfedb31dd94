"""The invariants I1-I9 and I15 of migrations/README.md, read from the keys and not from the library.

I12 and I13 need a memory of what was acknowledged, and I14 of all leases: sim.py keeps both.
"""
from jobs import ENDED, HOOK_TYPES, HOOKS_OF, Queue

LANES = ["l", "m"]
TENANTS = ["t1", "t2", "t3"]
ENDPOINTS = ["https://one.example", "https://two.example"]
MAX_CRASH = 2


class Violation(Exception):
    """Something that must never be."""


def expect(is_true, *words) -> None:
    if not is_true:
        raise Violation(" ".join(map(str, words)))


class Places:
    """All sets and sorted sets of the namespace, read in one go."""

    def __init__(self, queue: Queue) -> None:
        zsets = [("run",), ("delay",), ("term",), ("dead",), ("qttl",), ("assets",), ("whdue",), ("whrun",),
                 ("whdead",)]
        zsets += [("lq", lane) for lane in LANES] + [("ring", lane) for lane in LANES]
        zsets += [("q", lane, tenant) for lane in LANES for tenant in TENANTS]
        zsets += [("idx", tenant) for tenant in TENANTS]
        sets = [(kind, tenant) for kind in ("live", "runt") for tenant in TENANTS]
        sets += [("whin", endpoint) for endpoint in ENDPOINTS]
        commands = [("ZRANGE", queue.key(*z), 0, -1) for z in zsets]
        commands += [("SMEMBERS", queue.key(*s)) for s in sets]
        replies = queue.redis.many(commands)
        self.of = dict(zip(zsets + sets, map(set, replies)))

    def __getitem__(self, name) -> set:
        return self.of[name if isinstance(name, tuple) else (name,)]


def check_places(job_id: str, job: dict, at: Places) -> None:
    st, tenant, lane = job["st"], job["tenant"], job["lane"]
    found = [name for name, place in (("queued", ("q", lane, tenant)), ("scheduled", "delay"), ("running", "run"))
             if job_id in at[place]]
    expect(found == ([] if st in ENDED else [st]), "I1", job_id, st, "is in", found)
    expect((job_id in at["term"]) == (st in ENDED), "I2", job_id, st, "and term disagree")
    expect((job_id in at[("live", tenant)]) == (st not in ENDED), "I2", job_id, st, "and live disagree")
    expect(("lease" in job) == (st == "running"), "I2", job_id, st, "and its lease disagree")
    expect(not (st in ENDED and job_id in at["qttl"]), "I2", job_id, st, "has a queue deadline")
    expect((job_id in at[("runt", tenant)]) == (st == "running"), "I3", job_id, st, "and runt disagree")
    expect((job_id in at[("idx", tenant)]) == ("del" not in job), "I12", job_id, "and the list disagree")
    expect((job_id in at["dead"]) == (st == "failed" and "del" not in job), "I2", job_id, st, "and dead disagree")
    wants_asset = st == "succeeded" and "gone" not in job
    expect((job_id in at["assets"]) == wants_asset, "I2", job_id, st, "and assets disagree")


def check_counts(job_id: str, job: dict) -> None:
    try_, maxtry, crash = int(job["try"]), int(job["maxtry"]), int(job["crash"])
    expect(0 <= try_ <= maxtry + crash, "I9", job_id, "try", try_, "of", maxtry, "crash", crash)
    expect(crash <= MAX_CRASH + 1, "I9", job_id, "crash", crash)
    expect(0 <= int(job["prog"]) <= 99 or job["st"] == "succeeded", "I9", job_id, "progress", job["prog"])
    wants_code = job["st"] in ENDED and job["st"] != "succeeded"
    expect(bool(job.get("code")) == wants_code, "I9", job_id, job["st"], "has the error code", job.get("code"))


def check_events(job_id: str, job: dict, kinds: list) -> None:
    while "retried" in kinds:
        kinds = kinds[kinds.index("retried") + 1:]
    ends = [kind for kind in kinds if kind in ENDED]
    expect(ends == ([job["st"]] if job["st"] in ENDED else []), "I5", job_id, job["st"], "has the ends", ends)


def check_hooks(job_id: str, job: dict, hooks: dict, at: Places) -> None:
    wanted = job["hev"].split(",") if job["hook"] else []
    if job["st"] in ENDED:
        for kind in HOOKS_OF[job["st"]]:
            expect((kind in hooks) == (kind in wanted), "I7", job_id, job["st"], kind, "in the outbox:", kind in hooks)
    for kind, entry in hooks.items():
        name = "%s:%s" % (job_id, kind)
        places = [p for p in ("whdue", "whrun", "whdead") if name in at[p]]
        expect(kind in wanted, "I7", name, "was not wanted")
        expect(len(places) == (0 if "ok" in entry else 1), "I7", name, "is in", places)


def check_all(queue: Queue, job_ids) -> dict:
    """Checks every job that should exist; returns their records."""
    at = Places(queue)
    jobs = queue.jobs(job_ids)
    for lane in LANES:
        busy = {t for t in TENANTS if at[("q", lane, t)]}
        expect(at[("ring", lane)] == busy, "I4 ring", lane, at[("ring", lane)], "busy", busy)
        expect(at[("lq", lane)] == set().union(*[at[("q", lane, t)] for t in TENANTS]), "I1 lane", lane)
    expect(at["whrun"] == set().union(*[at[("whin", e)] for e in ENDPOINTS]), "I8 in flight")
    streams = queue.redis.many([("XRANGE", queue.key("ev", i), "-", "+") for i in job_ids])
    hooks = queue.redis.many([("HGETALL", queue.key("wh", i, kind)) for i in job_ids for kind in HOOK_TYPES])
    for n, job_id in enumerate(job_ids):
        expect(jobs[job_id], "I12", job_id, "was acknowledged and is gone")
        own = {kind: dict(zip(flat[::2], flat[1::2])) for kind, flat in zip(HOOK_TYPES, hooks[4 * n:4 * n + 4]) if flat}
        check_places(job_id, jobs[job_id], at)
        check_counts(job_id, jobs[job_id])
        check_events(job_id, jobs[job_id], [Queue.fields(row)["t"] for row in streams[n]])
        check_hooks(job_id, jobs[job_id], own, at)
    known = set(job_ids)
    for name, members in at.of.items():
        if name[0] in ("run", "delay", "term", "dead", "qttl", "assets", "lq", "q", "idx", "live", "runt"):
            expect(members <= known, "I15", name, "has unknown", members - known)
    return jobs
