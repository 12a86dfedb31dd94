"""Random interleavings of servers, workers and time against the real job functions on a real Redis.

usage: sim.py [--seeds N] [--first S] [--steps N] [--no-scenarios]

The clock stands still between steps, so a seed replays exactly. Each step predicts the reply from what
is stored, then compares; every few steps all invariants are checked. At the end of a seed all work is
drained: nothing may be left over.
"""
import argparse
import math
import random
import sys
import time

import scenarios
from invariants import ENDPOINTS, LANES, TENANTS, Violation, check_all, expect
from jobs import ENDED, LEASE_MS, META, WAITING, Queue, library
from wire import private_server

WORKERS = ["w1", "w2", "w3", "w4"]
LIMITS = {"max_lane": 40, "max_live": 30, "max_run": 2}
JUMPS_MS = [100, 2000, 9000, 25000, 70000]
CHECK_EVERY = 10
HOOK_CAP, HOOK_TRIES, HOOK_LEASE_MS = 2, 4, 10000
FINAL = ("st", "res", "done_lease", "done", "code", "why")


class Sim:
    """One seed: what was acknowledged, which leases were given, how jobs ended."""

    def __init__(self, queue: Queue, seed: int) -> None:
        self.queue, self.random = queue, random.Random(seed)
        queue.reset(**LIMITS)
        self.ids: list = []      # jobs that must exist
        self.hidden: set = set() # of these, deleted by their owner
        self.leases: list = []   # (job, lease) ever given
        self.ends: dict = {}     # job -> its final record
        self.sent: list = []     # (entry, lease) of webhooks ever taken
        self.last_claim: dict = {}
        self.n_jobs = self.n_objects = 0
        self.stats: dict = {}

    def job_at_random(self):
        return self.random.choice(self.ids)

    # --- server ---

    def submit(self):
        pick = self.random.choice
        self.n_jobs += 1
        job_id, idem, fp = "job_%06d" % self.n_jobs, pick(["", "k%d" % self.random.randrange(8)]), pick("abc")
        order = dict(tenant=pick(TENANTS), lane=pick(LANES), prio=self.random.randrange(10),
                     cost=self.random.randrange(1, 50), fp=fp, idem=idem, delay=pick([0, 0, 0, 5000]),
                     qttl=pick([0, 0, 40000]), runms=pick([0, 60000]), maxtry=self.random.randrange(1, 4),
                     hook=pick(["", ENDPOINTS[0] + "/a", ENDPOINTS[1] + "/b?c=d"]),
                     hev=pick(["completed,failed", "cancelled,in_progress,failed", "completed"]))
        wanted = self.predict_submit(job_id, order)
        reply = self.queue.submit(job_id, **order)
        expect(reply[:len(wanted)] == wanted, "submit answered", reply, "not", wanted)
        if reply[0] == "OK" and reply[2] == "new":
            self.ids.append(job_id)
            job = self.queue.job(job_id)
            expect(job["st"] == ("scheduled" if order["delay"] else "queued"), "born as", job["st"])
            expect(job["runms"] == str(order["runms"]) and job["fp"] == fp, "the order was not stored", job)
        return reply

    def predict_submit(self, job_id, order):
        queue, tenant = self.queue, order["tenant"]
        if order["idem"]:
            held = queue.redis("GET", queue.key("idem", tenant, order["idem"]))
            owner = held.split()[0] if held else None
            if owner and owner not in self.hidden:
                return ["OK", owner, "replay"] if held.split()[1] == order["fp"] else ["EIDEM", owner]
        if queue.redis("ZCARD", queue.key("lq", order["lane"])) >= LIMITS["max_lane"]:
            return ["EFULL", LIMITS["max_lane"]]
        if queue.redis("SCARD", queue.key("live", tenant)) >= LIMITS["max_live"]:
            return ["EQUOTA", LIMITS["max_live"]]
        return ["OK", job_id, "new"]

    def resubmit(self):
        job_id = self.job_at_random()
        job = self.queue.job(job_id)
        reply = self.queue.submit(job_id, tenant=job["tenant"], lane=job["lane"], fp=job["fp"])
        expect(reply == ["OK", job_id, "dup"], "a resent submit answered", reply)
        foreign = self.queue.submit(job_id, tenant="t9", lane=job["lane"], fp=job["fp"])
        expect(foreign == ["EID"], "a foreign submit of the same id answered", foreign)
        return ["dup"]

    def stop(self, name):
        """cancel and delete: what both must do to the job, and what only delete does."""
        job_id = self.job_at_random()
        job = self.queue.job(job_id)
        is_foreign = self.random.random() < 0.1
        args = (job_id, "t9" if is_foreign else job["tenant"]) + (("words",) if name == "job_cancel" else ())
        reply = self.queue.call(name, *args)
        if is_foreign or job_id in self.hidden:
            expect(reply == ["ENOENT"], name, "of a foreign or deleted job answered", reply)
            return reply
        after = self.queue.job(job_id)
        state = "canceled" if job["st"] in WAITING else job["st"]
        expect(reply == ["OK", state] and after["st"] == state, name, job["st"], "->", reply, after["st"])
        expect(("cancel" in after) == ("cancel" in job or job["st"] == "running"), name, "and the flag disagree")
        if "cancel" in job:
            expect(after["cancel"] == job["cancel"], "a second cancel changed the time of the first")
        if name == "job_delete":
            self.hidden.add(job_id)
            expect("del" in after, "delete left no tombstone")
            expect(self.queue.call("job_get", job_id, job["tenant"]) == ["ENOENT"], "a deleted job is visible")
            if state in ENDED:
                expect(self.queue.score("term", job_id) == 0, "a deleted job is not for the next gc")
        return reply

    def look(self):
        job_id = self.job_at_random()
        job = self.queue.job(job_id)
        reply = self.queue.call("job_get", job_id, job["tenant"])
        if job_id not in self.hidden:
            expect(dict(zip(reply[1][1][::2], reply[1][1][1::2])) == job, "get and the record disagree")
            rank = self.queue.redis("ZRANK", self.queue.key("lq", job["lane"]), job_id)
            expect(reply[1][3] == (-1 if rank is None else rank), "position", reply[1][3], "not", rank)
        expect(self.queue.call("job_get", job_id, "t9") == ["ENOENT"], "a foreign job is visible")
        return reply[:1]

    def list(self):
        tenant, order = self.random.choice(TENANTS), self.random.choice(["asc", "desc"])
        mine = sorted(i for i, job in self.queue.jobs(self.ids).items()
                      if job["tenant"] == tenant and i not in self.hidden)
        mine = mine[::-1] if order == "desc" else mine
        seen, after, more = [], "", 1
        while more:
            expect(len(seen) <= len(mine), "the list has no end")
            page = self.queue.call("job_list", tenant, after, 7, order)
            more, rows = page[1], [row[0] for row in page[2:]]
            seen += rows
            after = rows[-1] if rows else ""
        expect(seen == mine, "the list", order, "of", tenant, "is", seen, "not", mine)
        return ["OK"]

    # --- worker ---

    def maybe_object(self):
        """The name of a new checkpoint, or none."""
        self.n_objects += 1
        return self.random.choice(["", "ck%d" % self.n_objects])

    def takeable(self, lane, worker):
        """The job that this worker must get from this lane, or None: the rule, written a second time."""
        queue = self.queue
        others = [w for w in WORKERS if w != worker
                  and (queue.score(("lw", lane), w) or 0) >= queue.now - 15000]
        for tenant in queue.members("ring", lane):
            if queue.redis("SCARD", queue.key("runt", tenant)) >= LIMITS["max_run"]:
                continue
            jobs = queue.jobs(queue.redis("ZRANGE", queue.key("q", lane, tenant), 0, -1))
            line = sorted(jobs, key=lambda i: (-int(jobs[i]["prio"]), int(jobs[i]["seq"])))
            for job_id in line[:5]:
                job = jobs[job_id]
                is_avoided = job.get("avoid") == worker and int(job["avoid_until"]) > queue.now and others
                if not is_avoided:
                    return job_id, tenant
        return None

    def claim(self):
        worker, lanes = self.random.choice(WORKERS), self.random.sample(LANES, 2)
        nonce = "%08x" % self.random.getrandbits(32)
        is_banned = (self.queue.score("wban", worker) or 0) > self.queue.now
        found = next(filter(None, (self.takeable(lane, worker) for lane in lanes)), None)
        ring = {lane: dict(self.ring(lane)) for lane in lanes}
        reply = self.queue.claim(worker, nonce, *lanes)
        if is_banned:
            expect(reply == ["BANNED"], "a banned worker got", reply)
        elif found is None:
            expect(reply == ["NONE"], "nothing can be taken, but claim answered", reply)
        else:
            expect(reply[:2] == ["OK", found[0]], "claim answered", reply, "not", found)
            self.check_claim(worker, nonce, reply, ring)
        return reply[:1]

    def ring(self, lane):
        flat = self.queue.redis("ZRANGE", self.queue.key("ring", lane), 0, -1, "WITHSCORES")
        return zip(flat[::2], map(float, flat[1::2]))

    def check_claim(self, worker, nonce, reply, ring):
        job_id, lease = reply[1], reply[2]
        job = self.queue.job(job_id)
        expect(lease not in [held for i, held in self.leases if i == job_id], "I14", job_id, lease, "was given before")
        expect(lease == job["epoch"] + "-" + nonce and job["lease"] == lease, "I14 lease", lease, job)
        self.leases.append((job_id, lease))
        self.last_claim[worker] = (nonce, job_id, lease)
        deadline = self.queue.score("run", job_id)
        expect(deadline == self.queue.now + LEASE_MS, "the lease ends at", deadline, "now", self.queue.now)
        vt = dict(self.ring(job["lane"])).get(job["tenant"])
        due = ring[job["lane"]][job["tenant"]] + math.ceil(int(job["cost"]))
        expect(vt is None or vt == due, "the tenant paid", vt, "not", due)

    def reclaim(self):
        """A claim whose reply was lost is sent again."""
        if not self.last_claim:
            return None
        worker = self.random.choice(sorted(self.last_claim))
        nonce, job_id, lease = self.last_claim[worker]
        if self.queue.job(job_id).get("lease") != lease:
            return None
        reply = self.queue.claim(worker, nonce, *LANES)
        expect(reply[:3] == ["OK", job_id, lease] and reply[-1] == "again", "a resent claim got", reply)
        return ["again"]

    def lease_at_random(self):
        near = self.leases[-12:] if self.random.random() < 0.7 else self.leases
        job_id, lease = self.random.choice(near)
        return job_id, lease, self.queue.job(job_id)

    def beat(self):
        job_id, lease, job = self.lease_at_random()
        prog, step = self.random.randrange(120), self.random.randrange(4)
        ckpt = self.maybe_object()
        events = self.queue.events(job_id).count("progress")
        reply = self.queue.beat(job_id, lease, prog, "denoise", step, 20, 1000, ckpt)
        after = self.queue.job(job_id)
        if job.get("st") != "running" or job["lease"] != lease:
            expect(reply[0] == "ESTALE" and after == job, "a stale beat answered", reply)
            return reply[:1]
        late = int(job["runms"]) > 0 and self.queue.now - int(job["started"]) > int(job["runms"])
        expect(reply == ["CANCEL" if "cancel" in job else "TIMEOUT" if late else "OK"], "beat answered", reply, job)
        shown = min(99, max(prog, int(job["prog"])))
        expect(int(after["prog"]) == shown, "progress went from", job["prog"], "by", prog, "to", after["prog"])
        expect(self.queue.score("run", job_id) == self.queue.now + LEASE_MS, "the beat did not extend the lease")
        expect(after.get("ckpt") == (ckpt or job.get("ckpt")), "checkpoint", after.get("ckpt"))
        if ckpt and job.get("ckpt") not in (None, ckpt):
            expect(self.queue.score("gc", job["ckpt"]) is not None, "the old checkpoint is not garbage")
        changed = shown != int(job["prog"]) or job["phase"] != "denoise" or int(job["step"]) != step
        expect(self.queue.events(job_id).count("progress") == events + changed, "progress events: changed", changed)
        return reply

    def complete(self):
        job_id, lease, job = self.lease_at_random()
        reply = self.queue.complete(job_id, lease)
        st, after = job.get("st"), self.queue.job(job_id)
        if st == "succeeded" and job["done_lease"] == lease:
            expect(reply == ["OK", "dup"] and after == job, "a second complete answered", reply)
        elif st == "running" and job["lease"] == lease:
            expect(reply == (["CANCEL"] if "cancel" in job else ["OK", "own"]), "complete answered", reply)
        elif st in WAITING and job.get("last_lease") == lease:
            expect(reply == ["OK", "adopt"], "complete after a lost lease answered", reply)
        else:
            expect(reply[0] == "ESTALE" and after == job, "a stale complete answered", reply)
        if reply[0] == "OK":
            expect(after["st"] == "succeeded" and after["res"] == '{"key":"%s"}' % lease, "I13 result", after)
            expect(after["prog"] == "100", "a finished job shows", after["prog"])
        return reply

    def fail(self, why):
        job_id, lease, job = self.lease_at_random()
        is_own = job.get("st") == "running" and job["lease"] == lease
        delay, ckpt = self.random.choice([0, 3000]), self.maybe_object()
        reply = self.queue.fail(job_id, lease, why, delay, ckpt, "some_code")
        after = self.queue.job(job_id)
        if not is_own:
            expect(reply[0] == "ESTALE" and after == job, "a stale fail answered", reply)
            return reply[:1]
        if why == "cancelled" and "cancel" not in job:
            expect(reply == ["EARG", "why"] and after == job, "cancelled without a cancel answered", reply)
            return reply
        wanted = self.predict_fail(why, job, delay)
        expect(reply == ["OK", wanted] and after["st"] == wanted, "fail", why, "answered", reply, "not", wanted)
        if why == "release" and wanted == "queued":
            expect(int(after["try"]) == int(job["try"]) - 1, "a release consumed a try")
        if wanted in WAITING and ckpt:
            expect(after["ckpt"] == ckpt, "the checkpoint of a failed try was forgotten")
        if why == "crash":
            expect(int(after["crash"]) == int(job["crash"]) + 1, "a crash was not counted")
        if wanted == "failed":
            expect(after["code"] == ("worker_lost" if why == "crash" else "some_code"), "error code", after["code"])
        return reply

    @staticmethod
    def predict_fail(why, job, delay):
        waiting = "scheduled" if delay else "queued"
        if "cancel" in job:
            return "canceled"
        if why == "release":
            return "queued"
        if why == "crash":
            return waiting if int(job["crash"]) < 2 else "failed"
        has_tries = int(job["try"]) - int(job["crash"]) < int(job["maxtry"])
        return waiting if why == "retry" and has_tries else "failed"

    # --- time ---

    def tick(self):
        queue = self.queue
        last, grace = (int(v or 0) for v in queue.redis("HMGET", META, "last_tick", "grace"))
        is_outage = last == 0 or queue.now - last > LEASE_MS / 3 or queue.now < last
        is_grace = is_outage or queue.now < grace
        due = {name: queue.redis("ZRANGEBYSCORE", queue.key(name), "-inf", queue.now)
               for name in ("delay", "qttl", "run")}
        expired = [i for i in due["qttl"]]
        promoted = due["delay"]
        lost = [] if is_grace else due["run"]
        reply = queue.tick()
        jobs = queue.jobs(promoted + expired + lost)
        for job_id in promoted:
            expect(jobs[job_id]["st"] in ("queued", "expired"), "a due job is", jobs[job_id]["st"])
        for job_id in expired:
            expect(jobs[job_id]["st"] == "expired", "a job past its deadline is", jobs[job_id]["st"])
            expect(jobs[job_id]["code"] == "deadline_exceeded", "its code is", jobs[job_id]["code"])
        for job_id in lost:
            expect(jobs[job_id]["st"] != "running", "a lost lease was not taken back")
        expect(reply[:3] == ["OK", len(promoted), len(expired)], "tick answered", reply)
        expect(reply[3] + reply[4] == len(lost), "tick took back", reply[3:], "not", len(lost), "grace", is_grace)
        return ["grace" if is_grace else "OK"]

    def live(self):
        """Half a minute or more in which somebody ticks all the time, so that leases really run out."""
        for _ in range(self.random.randrange(4, 9)):
            self.queue.pass_time(self.random.choice([3000, 6000, 9500]))
            if self.random.random() < 0.5:
                self.beat_all_but_one()
            self.tick()
        return ["OK"]

    def beat_all_but_one(self):
        running = sorted(self.queue.members("run"))
        for job_id in running[1:]:
            job = self.queue.job(job_id)
            self.queue.beat(job_id, job["lease"], int(job["prog"]), job["phase"], int(job["step"]))

    def jump(self):
        back = self.random.random() < 0.03
        self.queue.pass_time(-20000 if back else self.random.choice(JUMPS_MS))
        return ["back" if back else "OK"]

    # --- webhooks ---

    def hooks(self):
        queue = self.queue
        for row in queue.call("job_whclaim", self.random.choice(["d1", "d2", "d3"]), 3, HOOK_LEASE_MS, HOOK_CAP):
            expect((row[0], row[1]) not in self.sent, "a webhook lease was given twice", row)
            self.sent.append((row[0], row[1]))
        for endpoint in ENDPOINTS:
            n = queue.redis("SCARD", queue.key("whin", endpoint))
            expect(n <= HOOK_CAP, "an endpoint has", n, "in flight")
        near = self.sent[-9:]
        for entry, lease in self.random.sample(near, min(len(near), 3)):
            self.report(entry, lease, self.random.choice(["ok", "retry", "retry", "dead"]))
        return ["OK"]

    def report(self, entry, lease, verdict):
        queue = self.queue
        held, try_ = queue.redis("HMGET", queue.key("wh", entry), "lease", "try")
        is_own = held == lease and queue.score("whrun", entry) is not None
        reply = queue.call("job_whdone", entry, lease, verdict, 500, "", 1000, HOOK_TRIES)
        if not is_own:
            expect(reply == ["ESTALE"], "a stale webhook report answered", reply)
            return
        dead = verdict == "dead" or (verdict == "retry" and int(try_) >= HOOK_TRIES)
        wanted = "delivered" if verdict == "ok" else "dead" if dead else "retry"
        expect(reply == ["OK", wanted], "whdone", verdict, "answered", reply, "not", wanted)

    # --- garbage ---

    def purge(self):
        job_id = self.job_at_random()
        job, pending = self.queue.job(job_id), self.queue.has_pending_hook(job_id)
        reply = self.queue.call("job_purge", job_id, job["tenant"])
        may = job["st"] in ENDED and not pending
        expect((reply == ["OK"]) == may, "purge of", job["st"], "pending", pending, "answered", reply)
        if may:
            self.forget(job_id, job)
        return reply[:1]

    def forget(self, job_id, job):
        left = self.queue.redis("KEYS", "*" + job_id + "*")
        expect(not left, "I15 purge left", left)
        if job.get("idk"):
            held = self.queue.redis("GET", self.queue.key("idem", job["tenant"], job["idk"]))
            expect(not held or held.split()[0] != job_id, "I15 purge left the idempotency key")
        self.ids.remove(job_id)
        self.hidden.discard(job_id)
        self.ends.pop(job_id, None)

    def gc(self):
        queue = self.queue
        for kind, name, tenant, result in queue.call("job_gc", 5)[1:]:
            if kind == "job":
                job = queue.job(name)
                expect(job["st"] in ENDED and name in self.hidden, "gc offers the job", name, job["st"])
                expect(queue.call("job_purge", name, tenant) == ["OK"], "gc offers a job that cannot be purged")
                self.forget(name, job)
            elif kind == "result":
                job = queue.job(name)
                expect(int(job["exp"]) <= queue.now and result == job["res"], "gc offers a fresh result", job)
                queue.call("job_gcdone", "result", name)
                expect("gone" in queue.job(name), "a removed result is not marked")
            else:
                users = [i for i, job in queue.jobs(self.ids).items() if job.get("ckpt") == name]
                expect(not users, "gc offers the checkpoint", name, "of", users)
                queue.call("job_gcdone", "object", name)
                expect(queue.score("gc", name) is None, "a removed object is still listed")
        return ["OK"]

    def retry(self):
        dead = self.queue.members("dead")
        if not dead:
            return None
        job_id = self.random.choice(dead)
        expect(self.queue.call("job_retry", job_id) == ["OK"], "a dead letter cannot run again")
        job = self.queue.job(job_id)
        expect((job["st"], job["try"], job["crash"]) == ("queued", "0", "0"), "a retried job is", job)
        self.ends.pop(job_id, None)
        return ["OK"]

    # --- the run ---

    OPS = [("submit", 20), ("claim", 18), ("beat", 16), ("complete", 10), ("retry", 6), ("fatal", 2),
           ("release", 3), ("crash", 4), ("cancelled", 2), ("timeout", 1), ("cancel", 4), ("delete", 2),
           ("tick", 10), ("jump", 7), ("live", 4), ("hooks", 10), ("resubmit", 3), ("reclaim", 3), ("purge", 4), ("gc", 2),
           ("dead", 1), ("look", 2), ("list", 1)]

    def step(self, op):
        needs_job = {"cancel", "delete", "resubmit", "purge", "look"}
        fails = {"retry", "fatal", "release", "crash", "cancelled", "timeout"}
        if (op in needs_job and not self.ids) or (op in fails | {"beat", "complete"} and not self.leases):
            return None
        if op in fails:
            return self.fail(op)
        if op in ("cancel", "delete"):
            return self.stop("job_" + op)
        return getattr(self, {"dead": "retry"}.get(op, op))()

    def check(self):
        jobs = check_all(self.queue, self.ids)
        for job_id, job in jobs.items():
            if job["st"] not in ENDED:
                continue
            final = tuple(job.get(name) for name in FINAL)
            expect(self.ends.setdefault(job_id, final) == final, "I6", job_id, "changed after its end", final)

    def drain(self):
        """All work must come to an end when workers are well and time passes."""
        queue = self.queue
        queue.redis("DEL", queue.key("wban"))
        for _ in range(1000):
            queue.pass_time(5000)
            queue.tick()
            reply = queue.claim("w9", "%08x" % self.random.getrandbits(32), *LANES)
            if reply[0] == "OK" and queue.complete(reply[1], reply[2]) == ["CANCEL"]:
                queue.fail(reply[1], reply[2], "cancelled")
            for row in queue.call("job_whclaim", "d", 50, HOOK_LEASE_MS, 50):
                queue.call("job_whdone", row[0], row[1], "ok", 200, "", 0, 9)
            left = ["run", "delay", "whdue", "whrun"] + ["lq:" + lane for lane in LANES]
            if not any(queue.redis.many([("ZCARD", queue.key(name)) for name in left])):
                break
        self.check()
        unfinished = [i for i in self.ids if i not in self.ends]
        expect(not unfinished, "never finished:", unfinished)
        problems = queue.audit()
        expect(not problems, "the library's own audit says", problems[:3])

    def run(self, n_steps):
        names, weights = zip(*self.OPS)
        for n in range(n_steps):
            op = self.random.choices(names, weights)[0]
            reply = self.step(op)
            if reply:
                name = "%s:%s" % (op, reply[0])
                self.stats[name] = self.stats.get(name, 0) + 1
            if n % CHECK_EVERY == 0:
                self.check()
        self.drain()


def run_seeds(queue: Queue, seeds, n_steps: int) -> dict:
    total: dict = {}
    n_jobs = 0
    for seed in seeds:
        sim = Sim(queue, seed)
        try:
            sim.run(n_steps)
        except Violation as violation:
            print("SEED %d: %s\nreplay: tests/sim/sim.py --first %d --seeds 1 --steps %d"
                  % (seed, violation, seed, n_steps))
            raise
        n_jobs += sim.n_jobs
        for name, n in sim.stats.items():
            total[name] = total.get(name, 0) + n
    total["jobs"] = n_jobs
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--no-scenarios", action="store_true")
    args = parser.parse_args()
    started = time.monotonic()
    with private_server() as redis:
        redis("FUNCTION", "LOAD", "REPLACE", library())
        queue = Queue(redis)
        try:
            n_scenarios = 0 if args.no_scenarios else scenarios.run_all(queue)
            total = run_seeds(queue, range(args.first, args.first + args.seeds), args.steps)
        except Violation as violation:
            print("VIOLATION:", violation)
            return 1
    n_jobs = total.pop("jobs")
    print(" ".join("%s=%d" % item for item in sorted(total.items())))
    print("sim: %d scenarios, %d seeds from %d, %d jobs, %d steps, 0 violations, %.1f s"
          % (n_scenarios, args.seeds, args.first, n_jobs, args.seeds * args.steps, time.monotonic() - started))
    return 0


if __name__ == "__main__":
    sys.exit(main())
