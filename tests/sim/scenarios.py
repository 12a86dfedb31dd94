"""Directed stories: one rule each, told from the outside. Run before the random seeds."""
from invariants import expect
from jobs import LEASE_MS, META, PREFIX, START_MS, Queue

HOOK = "https://one.example/hook"
OTHER_HOOK = "https://two.example/hook"


def equal(got, want, *words) -> None:
    expect(got == want, *words, "is", got, "not", want)


def claim_id(queue: Queue, worker: str, nonce: str = "", lane: str = "l"):
    """Id of the job that a claim gives, or the word of its refusal."""
    reply = queue.claim(worker, nonce or "n%d" % queue.redis("HINCRBY", "{sim-test}", "nonce", 1), lane)
    return reply[1] if reply[0] == "OK" else reply[0]


def live(queue: Queue, ms: int) -> None:
    """Time passes with a tick each 5 s, as in a healthy house."""
    for _ in range(ms // 5000):
        queue.pass_time(5000)
        queue.tick()


# --- who gets which job ---

def priority_then_age_within_a_tenant(queue: Queue) -> None:
    for name, prio in (("a", 5), ("b", 9), ("c", 5), ("d", 0)):
        queue.submit(name, prio=prio)
    equal([claim_id(queue, "w1") for _ in range(5)], ["b", "a", "c", "d", "NONE"], "order of claims")


def a_tenant_with_many_jobs_waits_its_turn(queue: Queue) -> None:
    for n in range(6):
        queue.submit("big%d" % n, tenant="t1", cost=10)
    equal(claim_id(queue, "w1"), "big0", "first claim")
    queue.submit("small0", tenant="t2", cost=10)
    queue.submit("small1", tenant="t2", cost=10)
    got = [claim_id(queue, "w1") for _ in range(4)]
    equal(sorted(name[:3] for name in got), ["big", "big", "sma", "sma"], "both tenants alternate, got %s" % got)


def weight_buys_share_and_absence_earns_no_credit(queue: Queue) -> None:
    queue.redis("HSET", queue.key("quota", "t2"), "weight", 3)
    for n in range(12):
        queue.submit("a%02d" % n, tenant="t1", cost=30)
        queue.submit("b%02d" % n, tenant="t2", cost=30)
    got = [claim_id(queue, "w1")[0] for _ in range(8)]
    equal(got.count("b"), 6, "share of the tenant with weight 3 among 8")
    queue.submit("late0", tenant="t3", cost=30)
    queue.submit("late1", tenant="t3", cost=30)
    queue.submit("late2", tenant="t3", cost=30)
    got = [claim_id(queue, "w1")[:4] for _ in range(6)]
    expect(got.count("late") < 3, "a newcomer took everything", got)


def a_tenant_that_comes_back_keeps_its_bill(queue: Queue) -> None:
    queue.submit("a0", tenant="t1", cost=1000)
    queue.submit("x0", tenant="t2", cost=10)
    queue.submit("x1", tenant="t2", cost=10)
    queue.submit("x2", tenant="t2", cost=10)
    equal([claim_id(queue, "w1") for _ in range(2)], ["a0", "x0"], "first claims")
    queue.submit("a1", tenant="t1", cost=10)
    equal([claim_id(queue, "w1") for _ in range(3)], ["x1", "x2", "a1"], "t1 paid 1000 before")


def an_emptied_lane_remembers_the_present(queue: Queue) -> None:
    queue.submit("a0", tenant="t1", cost=100)
    queue.submit("a1", tenant="t1", cost=100)
    claim_id(queue, "w1")
    claim_id(queue, "w1")
    queue.submit("new0", tenant="t2", cost=100)
    present = float(queue.redis("HGET", queue.key("vt", "l"), "#now"))
    equal(queue.score(("ring", "l"), "t2"), present, "virtual time of a newcomer in an idle lane")
    expect(present > 0, "the present of the lane did not move")


def running_jobs_of_a_tenant_are_capped(queue: Queue) -> None:
    queue.redis("HSET", queue.key("quota", "t1"), "max_run", 1)
    for name, tenant in (("a", "t1"), ("b", "t1"), ("c", "t2")):
        queue.submit(name, tenant=tenant)
    equal([claim_id(queue, "w1") for _ in range(3)], ["a", "c", "NONE"], "claims with max_run 1")


def a_paused_queue_gives_nothing(queue: Queue) -> None:
    queue.submit("a")
    queue.redis("HSET", META, "paused", 1)
    equal(claim_id(queue, "w1"), "NONE", "a claim while paused")
    queue.redis("HSET", META, "paused", 0)
    equal(claim_id(queue, "w1"), "a", "a claim after the pause")


def a_released_job_keeps_its_place(queue: Queue) -> None:
    queue.submit("a")
    queue.submit("b")
    lease = queue.claim("w1", "n1")[2]
    equal(queue.fail("a", lease, "release"), ["OK", "queued"], "release")
    equal(claim_id(queue, "w2"), "a", "the next claim")
    equal(queue.job("a")["try"], "1", "tries after a release and a claim")


# --- workers that fail ---

def the_loser_of_a_job_is_avoided_only_while_others_look(queue: Queue) -> None:
    queue.submit("a", maxtry=9)
    lease = queue.claim("w1", "n1")[2]
    queue.fail("a", lease, "crash")
    equal(claim_id(queue, "w1"), "a", "the only worker gets its job back")
    queue.claim("w2", "x1")
    queue.fail("a", queue.job("a")["lease"], "crash")
    equal(claim_id(queue, "w1"), "NONE", "w1 while w2 is looking")
    equal(claim_id(queue, "w2"), "a", "w2")
    queue.fail("a", queue.job("a")["lease"], "release")
    queue.pass_time(16000)
    equal(claim_id(queue, "w1"), "a", "w1 when w2 has not asked for 16 s")


def avoidance_ends(queue: Queue) -> None:
    queue.submit("a", maxtry=9)
    queue.claim("w2", "z1", "m")
    queue.fail("a", queue.claim("w1", "n1")[2], "crash")
    queue.pass_time(121000)
    queue.claim("w2", "z2", "m")
    queue.redis("ZADD", queue.key("lw", "l"), queue.now, "w2")
    equal(claim_id(queue, "w1"), "a", "w1 after two minutes")


def a_worker_that_loses_three_jobs_is_banned(queue: Queue) -> None:
    for name in "abcd":
        queue.submit(name, maxtry=9)
    queue.claim("other", "o1", "m")
    for n in range(3):
        reply = queue.claim("bad", "n%d" % n)
        queue.fail(reply[1], reply[2], "crash", 100000)
    equal(claim_id(queue, "bad"), "BANNED", "the fourth claim")
    equal(claim_id(queue, "good"), "d", "another worker")
    queue.pass_time(3600001)
    expect(claim_id(queue, "bad") != "BANNED", "the ban does not end")


def losses_far_apart_or_of_one_job_do_not_ban(queue: Queue) -> None:
    queue.redis("HSET", META, "max_crash", 9)
    queue.submit("same", maxtry=9)
    queue.claim("other", "o1", "m")
    for n in range(4):
        queue.pass_time(5000)
        queue.claim("other", "p%d" % n, "m")
        queue.fail("same", queue.claim("w1", "n%d" % n)[2], "crash")
    expect(claim_id(queue, "w1") != "BANNED", "one job banned its worker")
    for n in range(3):
        queue.submit("far%d" % n, lane="f", maxtry=9)
        queue.pass_time(400000)
        queue.claim("other", "q%d" % n, "m")
        reply = queue.claim("w2", "f%d" % n, "f")
        queue.fail(reply[1], reply[2], "crash", 10**8)
    expect(claim_id(queue, "w2", lane="f") != "BANNED", "losses 400 s apart banned a worker")


def the_only_worker_is_never_banned(queue: Queue) -> None:
    for name in "abcd":
        queue.submit(name, maxtry=9)
    for n in range(3):
        reply = queue.claim("w1", "n%d" % n)
        queue.fail(reply[1], reply[2], "crash", 100000)
    equal(claim_id(queue, "w1"), "d", "the only worker")


def a_poison_job_stops_after_three_losses(queue: Queue) -> None:
    queue.submit("p", maxtry=9, hook=HOOK)
    states = []
    for n in range(3):
        lease = queue.claim("w%d" % n, "n%d" % n)[2]
        states.append(queue.fail("p", lease, "crash")[1])
    equal(states, ["queued", "queued", "failed"], "states")
    equal(queue.job("p")["code"], "worker_lost", "error code")
    equal(queue.members("dead"), ["p"], "dead letters")
    equal(queue.job("p")["try"], "3", "tries are counted too")


def losses_do_not_use_up_tries(queue: Queue) -> None:
    queue.submit("a", maxtry=2)
    queue.fail("a", queue.claim("w1", "n1")[2], "crash")
    equal(queue.fail("a", queue.claim("w1", "n2")[2], "retry")[1], "queued", "first real failure")
    equal(queue.fail("a", queue.claim("w1", "n3")[2], "retry", code="out_of_memory")[1], "failed", "second")
    equal(queue.job("a")["code"], "out_of_memory", "error code")


# --- leases and time ---

def a_lost_lease_is_taken_back_and_the_late_worker_adopts(queue: Queue) -> None:
    queue.tick()
    live(queue, LEASE_MS)
    queue.submit("a")
    lease = queue.claim("w1", "n1")[2]
    live(queue, 25000)
    equal(queue.job("a")["st"], "running", "after 25 s")
    live(queue, 5000)
    equal(queue.job("a")["st"], "scheduled", "after 30 s")
    equal(queue.job("a")["crash"], "1", "losses")
    equal(queue.complete("a", lease), ["OK", "adopt"], "the late worker")
    equal(queue.complete("a", lease), ["OK", "dup"], "its second call")


def a_late_worker_loses_against_the_next_one(queue: Queue) -> None:
    queue.tick()
    live(queue, LEASE_MS)
    queue.submit("a")
    old = queue.claim("w1", "n1")[2]
    live(queue, 35000)
    new = queue.claim("w2", "n2")[2]
    equal(queue.complete("a", old), ["ESTALE", "running"], "the old lease")
    equal(queue.beat("a", old, 50), ["ESTALE", "running"], "its beat")
    equal(queue.complete("a", new), ["OK", "own"], "the new lease")
    equal(queue.complete("a", old), ["ESTALE", "succeeded"], "the old lease again")


def only_the_last_holder_may_adopt(queue: Queue) -> None:
    queue.submit("a", maxtry=9)
    first = queue.claim("w1", "n1")[2]
    queue.fail("a", first, "crash")
    second = queue.claim("w2", "n2")[2]
    queue.fail("a", second, "crash", 1000)
    equal(queue.complete("a", first), ["ESTALE", "scheduled"], "the first holder")
    equal(queue.complete("a", second), ["OK", "adopt"], "the last holder")


def nothing_is_taken_back_right_after_an_outage(queue: Queue) -> None:
    queue.submit("a")
    queue.tick()
    lease = queue.claim("w1", "n1")[2]
    queue.pass_time(40000)
    equal(queue.tick()[3:], [0, 0], "taken back by the first tick after 40 s of silence")
    equal(queue.beat("a", lease), ["OK"], "the worker is back")
    live(queue, 25000)
    equal(queue.job("a")["st"], "running", "25 s after its beat")
    live(queue, 10000)
    equal(queue.job("a")["crash"], "1", "losses 35 s after its beat")


def a_clock_that_steps_back_is_an_outage(queue: Queue) -> None:
    queue.tick()
    live(queue, 60000)
    queue.submit("a")
    queue.claim("w1", "n1")
    live(queue, 25000)
    queue.pass_time(-10)
    queue.tick()
    live(queue, 10000)
    equal(queue.job("a")["st"], "running", "within the lease given after the step")


def progress_and_results_are_shown_right(queue: Queue) -> None:
    queue.submit("a", keep=5000)
    lease = queue.claim("w1", "n1")[2]
    queue.beat("a", lease, 80, "denoise", 8)
    queue.fail("a", lease, "release")
    lease = queue.claim("w1", "n2")[2]
    equal(queue.job("a")["step"], "0", "step of the second attempt")
    queue.beat("a", lease, 10, "denoise", 1)
    equal(queue.job("a")["prog"], "80", "progress after the second attempt began")
    queue.beat("a", lease, 150, "upload", 1)
    equal(queue.job("a")["prog"], "99", "progress before the result is stored")
    queue.complete("a", lease)
    equal(queue.job("a")["prog"], "100", "progress of a stored result")
    equal(int(queue.job("a")["exp"]), queue.now + 5000, "end of its lifetime")


def a_checkpoint_survives_a_lost_worker_and_dies_with_the_job(queue: Queue) -> None:
    queue.submit("a")
    lease = queue.claim("w1", "n1")[2]
    queue.beat("a", lease, 1, ckpt="c1")
    queue.beat("a", lease, 2, ckpt="c2")
    equal(queue.members("gc"), ["c1"], "garbage after the swap")
    queue.beat("a", lease, 3, ckpt="c2")
    equal(queue.members("gc"), ["c1"], "garbage after the same name once more")
    queue.fail("a", lease, "crash")
    reply = queue.claim("w2", "n2")
    equal(reply[5], "c2", "checkpoint of the next claim")
    queue.complete("a", reply[2])
    equal(sorted(queue.members("gc")), ["c1", "c2"], "garbage after the end")


def attempts_are_written_down(queue: Queue) -> None:
    queue.submit("a", maxtry=9)
    queue.fail("a", queue.claim("w1", "n1")[2], "retry")
    queue.fail("a", queue.claim("w2", "n2")[2], "crash")
    queue.complete("a", queue.claim("w3", "n3")[2])
    log = [row.split() for row in queue.redis("LRANGE", queue.key("att", "a"), 0, -1)]
    equal([(row[0], row[1], row[4]) for row in log], [("1", "w1", "retry"), ("2", "w2", "lost"), ("3", "w3", "done")],
          "attempts")


# --- cancel, delete, idempotency ---

def cancel_beats_a_later_complete(queue: Queue) -> None:
    queue.submit("a", hook=HOOK, hev="completed,failed,cancelled")
    lease = queue.claim("w1", "n1")[2]
    equal(queue.call("job_cancel", "a", "t1", "words"), ["OK", "running"], "cancel")
    equal(queue.beat("a", lease), ["CANCEL"], "beat")
    equal(queue.complete("a", lease), ["CANCEL"], "complete")
    equal(queue.fail("a", lease, "cancelled"), ["OK", "canceled"], "fail")
    equal(queue.job("a")["code"], "cancelled", "error code")
    equal(sorted(queue.members("whdue")), ["a:cancelled", "a:failed"], "webhooks")
    equal(queue.events("a"), ["created", "started", "canceling", "progress", "canceled"], "events")


def a_second_cancel_keeps_the_time_of_the_first(queue: Queue) -> None:
    queue.submit("a")
    queue.claim("w1", "n1")
    queue.call("job_cancel", "a", "t1", "words")
    first = queue.job("a")["cancel"]
    queue.pass_time(1000)
    queue.call("job_cancel", "a", "t1", "words")
    queue.call("job_delete", "a", "t1")
    equal(queue.job("a")["cancel"], first, "time of the cancel")
    equal(queue.events("a").count("canceling"), 1, "events of the cancel")


def full_lanes_and_tenants_are_refused(queue: Queue) -> None:
    queue.redis("HSET", META, "max_lane", 2, "max_live", 3)
    equal([queue.submit(i)[0] for i in "abc"], ["OK", "OK", "EFULL"], "a lane of 2")
    equal([queue.submit(i, lane="m")[0] for i in "de"], ["OK", "EQUOTA"], "a tenant with 3")
    equal(queue.submit("f", lane="m", tenant="t2")[0], "OK", "another tenant")
    queue.redis("HSET", queue.key("quota", "t1"), "max_live", 4)
    equal(queue.submit("g", lane="m")[0], "EFULL", "the lane after a larger quota")
    equal(queue.submit("g", lane="n")[0], "OK", "another lane after a larger quota")
    queue.call("job_cancel", "a", "t1", "")
    equal(queue.submit("h")[0], "OK", "after a cancel")


def a_canceled_job_whose_worker_dies_is_canceled(queue: Queue) -> None:
    queue.submit("a")
    lease = queue.claim("w1", "n1")[2]
    queue.call("job_cancel", "a", "t1", "words")
    equal(queue.fail("a", lease, "crash"), ["OK", "canceled"], "crash after cancel")


def a_deleted_job_disappears_and_is_collected(queue: Queue) -> None:
    queue.submit("a", idem="k")
    queue.complete("a", queue.claim("w1", "n1")[2])
    equal(queue.call("job_delete", "a", "t1"), ["OK", "succeeded"], "delete")
    equal(queue.call("job_delete", "a", "t1"), ["ENOENT"], "second delete")
    equal(queue.call("job_list", "t1", "", 10, "desc"), ["OK", 0], "the list")
    rows = queue.call("job_gc", 10)[1:]
    equal([row[:3] for row in rows], [["job", "a", "t1"]], "garbage")
    expect(rows[0][3] != "", "the result of a deleted job is not named")
    equal(queue.submit("b", idem="k", fp="g"), ["OK", "b", "new"], "the key of a deleted job")
    queue.call("job_purge", "a", "t1")
    equal(queue.submit("c", idem="k", fp="g"), ["OK", "b", "replay"], "the key after the purge of the old job")


def deleting_a_running_job_waits_for_its_worker(queue: Queue) -> None:
    queue.submit("a")
    lease = queue.claim("w1", "n1")[2]
    equal(queue.call("job_delete", "a", "t1"), ["OK", "running"], "delete")
    equal(queue.call("job_gc", 10), ["OK"], "garbage while it runs")
    equal(queue.complete("a", lease), ["CANCEL"], "a late result")
    queue.fail("a", lease, "cancelled")
    equal(queue.call("job_gc", 10)[1][:2], ["job", "a"], "garbage after the worker confirmed")
    equal(queue.members("dead"), [], "dead letters")


def a_deleted_job_that_fails_is_no_dead_letter(queue: Queue) -> None:
    queue.submit("a")
    queue.fail("a", queue.claim("w1", "n1")[2], "fatal")
    equal(queue.members("dead"), ["a"], "dead letters")
    queue.call("job_delete", "a", "t1")
    equal(queue.members("dead"), [], "dead letters after delete")


def keys_of_other_requests_are_refused(queue: Queue) -> None:
    equal(queue.submit("a", idem="k", fp="f1"), ["OK", "a", "new"], "first")
    equal(queue.submit("b", idem="k", fp="f1"), ["OK", "a", "replay"], "same key, same request")
    equal(queue.submit("c", idem="k", fp="f2"), ["EIDEM", "a"], "same key, other request")
    equal(queue.submit("d", idem="k", fp="f2", tenant="t2"), ["OK", "d", "new"], "same key of another tenant")
    equal(queue.redis("PTTL", queue.key("idem", "t1", "k")) > 590000, True, "lifetime of the key over 590 s")


def an_expired_job_tells_why(queue: Queue) -> None:
    queue.submit("a", qttl=1000, hook=HOOK)
    queue.submit("b", qttl=1000, delay=500000)
    queue.submit("c", qttl=1000, lane="m")
    queue.claim("w1", "n1", "m")
    queue.pass_time(1001)
    equal(queue.tick()[2], 2, "expired")
    equal([queue.job(i)["st"] for i in "abc"], ["expired", "expired", "running"], "states")
    equal(queue.job("a")["code"], "deadline_exceeded", "error code")
    equal(queue.members("whdue"), ["a:failed"], "webhooks")


# --- webhooks ---

def hooks(queue: Queue, most=50, cap=4) -> list:
    return queue.call("job_whclaim", "d", most, 10000, cap)


def report(queue: Queue, row, verdict, delay=0, maxtry=50):
    return queue.call("job_whdone", row[0], row[1], verdict, 500, "", delay, maxtry)


def end_jobs(queue: Queue, n: int, hook: str, prefix: str) -> None:
    for k in range(n):
        queue.submit("%s%d" % (prefix, k), hook=hook, lane="h" + prefix)
        reply = queue.claim("w1", "%s%d" % (prefix, k), "h" + prefix)
        queue.complete(reply[1], reply[2])


def an_endpoint_has_four_in_flight_and_others_go_on(queue: Queue) -> None:
    end_jobs(queue, 6, HOOK, "a")
    end_jobs(queue, 2, OTHER_HOOK, "b")
    rows = hooks(queue)
    equal([row[5] for row in rows].count(HOOK), 4, "in flight at one endpoint")
    equal([row[5] for row in rows].count(OTHER_HOOK), 2, "in flight at the other")
    report(queue, rows[0], "ok")
    queue.pass_time(600)
    equal(len(hooks(queue)), 1, "more after one is done")


def a_failing_endpoint_is_left_alone_then_probed(queue: Queue) -> None:
    end_jobs(queue, 5, HOOK, "a")
    for n in range(5):
        rows = hooks(queue, most=1)
        equal(len(rows), 1, "attempt %d" % n)
        report(queue, rows[0], "retry")
    equal(hooks(queue), [], "attempts while the breaker is open")
    end_jobs(queue, 1, OTHER_HOOK, "b")
    equal(len(hooks(queue)), 1, "attempts at another endpoint")
    queue.pass_time(30001)
    probes = [row for row in hooks(queue) if row[5] == HOOK]
    equal(len(probes), 1, "probes after 30 s")
    report(queue, probes[0], "retry")
    queue.pass_time(31000)
    equal([row for row in hooks(queue) if row[5] == HOOK], [], "probes 31 s after the sixth failure")
    queue.pass_time(30000)
    probes = [row for row in hooks(queue) if row[5] == HOOK]
    equal(len(probes), 1, "probes after 60 s")
    report(queue, probes[0], "ok")
    queue.pass_time(600)
    equal(len([row for row in hooks(queue) if row[5] == HOOK]), 4, "attempts after a success")


def a_lost_sender_costs_one_more_attempt(queue: Queue) -> None:
    end_jobs(queue, 1, HOOK, "a")
    first = hooks(queue)[0]
    equal(hooks(queue), [], "while the first sender has it")
    queue.pass_time(10001)
    second = hooks(queue)[0]
    equal((second[0], second[7]), (first[0], 2), "entry and attempt")
    equal(report(queue, first, "ok"), ["ESTALE"], "report of the lost sender")
    equal(report(queue, second, "ok"), ["OK", "delivered"], "report of the second")
    equal(report(queue, second, "ok"), ["ESTALE"], "a second report")


def a_hook_dies_after_its_last_try_or_at_once(queue: Queue) -> None:
    end_jobs(queue, 2, HOOK, "a")
    for n in range(3):
        rows = hooks(queue, most=1)
        wanted = "dead" if n == 2 else "retry"
        equal(report(queue, rows[0], "retry", maxtry=3), ["OK", wanted], "attempt %d" % n)
        queue.pass_time(1)
        if n < 2:
            queue.redis("ZADD", queue.key("whdue"), queue.now - 5000, rows[0][0])
    equal(report(queue, hooks(queue, most=1)[0], "dead"), ["OK", "dead"], "a refused endpoint")
    equal(len(queue.members("whdead")), 2, "dead webhooks")


def in_progress_is_told_once(queue: Queue) -> None:
    queue.submit("a", hook=HOOK, hev="in_progress")
    queue.fail("a", queue.claim("w1", "n1")[2], "release")
    queue.complete("a", queue.claim("w1", "n2")[2])
    equal(queue.members("whdue"), ["a:in_progress"], "webhooks")


def hooks_are_retried_when_they_are_due(queue: Queue) -> None:
    end_jobs(queue, 1, HOOK, "a")
    report(queue, hooks(queue)[0], "retry", delay=5000)
    queue.pass_time(4000)
    equal(hooks(queue), [], "after 4 s")
    queue.pass_time(1000)
    equal(len(hooks(queue)), 1, "after 5 s")


# --- garbage and operators ---

def records_and_results_are_collected_in_time(queue: Queue) -> None:
    queue.submit("a")
    queue.complete("a", queue.claim("w1", "n1")[2])
    equal(queue.call("job_gc", 10), ["OK"], "at once")
    queue.pass_time(86400000)
    row = queue.call("job_gc", 10)[1]
    equal(row[:3], ["result", "a", "t1"], "after a day")
    queue.call("job_gcdone", "result", "a")
    equal(queue.call("job_gc", 10), ["OK"], "after its removal")
    queue.pass_time(29 * 86400000 - 1)
    equal(queue.call("job_gc", 10), ["OK"], "before 30 days")
    queue.pass_time(1)
    equal(queue.call("job_gc", 10), ["OK", ["job", "a", "t1", ""]], "after 30 days")


def a_job_with_a_due_webhook_stays(queue: Queue) -> None:
    end_jobs(queue, 1, HOOK, "a")
    queue.submit("b", lane="x")
    queue.call("job_delete", "b", "t1")
    queue.call("job_delete", "a0", "t1")
    equal(queue.call("job_purge", "a0", "t1"), ["EBUSY", "webhook"], "purge")
    equal([row[1] for row in queue.call("job_gc", 1)[1:]], [], "the one row is put off")
    equal([row[1] for row in queue.call("job_gc", 1)[1:]], ["b"], "then the next one gets its turn")
    report(queue, hooks(queue)[0], "ok")
    queue.pass_time(60000)
    equal([row[1] for row in queue.call("job_gc", 10)[1:]], ["b", "a0"], "after the webhook and a minute")


def purge_needs_an_end_and_an_owner(queue: Queue) -> None:
    queue.submit("a")
    equal(queue.call("job_purge", "a", "t1"), ["EBUSY", "queued"], "purge of a waiting job")
    equal(queue.call("job_purge", "a", "t2"), ["ENOENT"], "purge by another tenant")
    equal(queue.call("job_purge", "zz", "t1"), ["ENOENT"], "purge of nothing")


def a_dead_letter_runs_again(queue: Queue) -> None:
    queue.submit("a", maxtry=1)
    equal(queue.call("job_retry", "a"), ["EBUSY", "queued"], "retry of a waiting job")
    queue.fail("a", queue.claim("w1", "n1")[2], "fatal", code="invalid_media")
    equal(queue.call("job_retry", "a"), ["OK"], "retry")
    job = queue.job("a")
    equal((job["st"], job["try"], job.get("code"), job.get("done")), ("queued", "0", None, None), "record")
    equal(queue.redis("SCARD", queue.key("live", "t1")), 1, "live jobs")
    equal(queue.redis("TTL", queue.key("ev", "a")), -1, "lifetime of its events")
    queue.complete("a", queue.claim("w1", "n2")[2])
    equal(queue.redis("TTL", queue.key("ev", "a")) > 0, True, "the events of an ended job have a lifetime")
    equal(queue.call("job_retry", "a"), ["EBUSY", "succeeded"], "retry of a success")
    equal(queue.call("job_retry", "zz"), ["ENOENT"], "retry of nothing")


def rates_are_held(queue: Queue) -> None:
    ask = lambda: queue.call("job_rate", "k", "2.000000", 3)
    equal([ask()[0] for _ in range(4)], [1, 1, 1, 0], "a burst of 3")
    equal(ask(), [0, 500, 0], "the next one at 2 per second")
    queue.pass_time(500)
    equal([ask()[0] for _ in range(2)], [1, 0], "after half a second")
    queue.pass_time(100000)
    equal(ask(), [1, 0, 2], "after a long rest")


def figures_are_right(queue: Queue) -> None:
    queue.submit("a", prio=9)
    queue.submit("b", prio=2)
    queue.submit("c", delay=1000, hook=HOOK)
    queue.submit("d", lane="m")
    queue.claim("w1", "n1")
    queue.call("job_cancel", "c", "t1", "")
    queue.pass_time(3000)
    reply = queue.call("job_stat")
    equal(reply[1:8], [queue.now, 1, 0, 1, 0, 1, 0], "now running scheduled ended dead hooks-due hooks-dead")
    equal(reply[8][0], ["l", 1, str(START_MS), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], "lane l")
    equal(reply[9], [["w1", 3000, 1]], "workers")


# --- robustness ---

def events_have_one_id_in_both_streams(queue: Queue) -> None:
    queue.submit("a")
    queue.claim("w1", "n1")
    own = [row[0] for row in queue.redis("XRANGE", queue.key("ev", "a"), "-", "+")]
    every = [row[0] for row in queue.redis("XRANGE", queue.key("evall"), "-", "+")]
    equal(own, every, "ids of the events of the only job")
    queue.redis("XADD", queue.key("ev", "a"), "9999999999999-0", "t", "future")
    equal(queue.beat("a", queue.job("a")["lease"], 5), ["OK"], "a beat when the streams disagree")


def another_schema_is_refused(queue: Queue) -> None:
    queue.submit("a")
    before = sorted(queue.redis("KEYS", "*"))
    queue.redis("HSET", META, "schema", "2")
    equal(queue.submit("b"), ["ESCHEMA", "2"], "submit")
    equal(queue.claim("w1", "n1"), ["ESCHEMA", "2"], "claim")
    equal(queue.tick(), ["ESCHEMA", "2"], "tick")
    equal(sorted(queue.redis("KEYS", "*")), before, "keys")
    equal(queue.call("job_migrate", 10), ["ESCHEMA", "2"], "migrate")


def bad_arguments_change_nothing(queue: Queue) -> None:
    before = sorted(queue.redis("KEYS", "*"))
    equal(queue.submit("a b"), ["EARG", "id"], "an id with a space")
    equal(queue.submit("a", tenant="x:y"), ["EARG", "tenant"], "a tenant with a colon")
    equal(queue.submit("a", lane="x" * 65), ["EARG", "lane"], "a long lane")
    equal(queue.submit("a", prio="high"), ["EARG", "prio"], "a priority in words")
    equal(queue.submit("a", keep="12345678901234567"), ["EARG", "keep"], "a number over 2^53")
    equal(queue.call("job_get", "a"), ["EARG", "tenant"], "too few")
    equal(queue.call("job_get", "a", "t1", "x"), ["EARG", "count"], "too many")
    equal(queue.call("job_fail", "a", "1-n", "boredom", "", "", 0, ""), ["EARG", "why"], "an unknown reason")
    equal(sorted(queue.redis("KEYS", "*")), before, "keys")


def ghosts_do_not_stop_the_others(queue: Queue) -> None:
    queue.tick()
    live(queue, 60000)
    for name in ("delay", "qttl", "run", "assets"):
        queue.redis("ZADD", queue.key(name), 1, "ghost")
    queue.submit("a", delay=1000)
    queue.pass_time(2000)
    equal(queue.tick()[:2], ["OK", 1], "tick")
    equal([row for row in queue.call("job_gc", 10)[1:]], [], "gc")
    queue.redis("ZADD", queue.key("q", "l", "t1"), 0, "ghost")
    equal(claim_id(queue, "w1"), "a", "claim")


def migration_goes_on_where_it_stopped(queue: Queue) -> None:
    queue.redis("HDEL", META, "schema")
    for n in range(300):
        queue.redis("SET", queue.key("rl", "x%d" % n), "1")
    replies = [queue.call("job_migrate", 50)]
    expect(queue.redis("HGET", queue.key("mig"), "cursor") != "0", "the first batch did everything")
    for _ in range(100):
        if replies[-1][0] != "DONE":
            replies.append(queue.call("job_migrate", 50))
    equal(replies[-1][0], "DONE", "the hundredth batch")
    expect(sum(reply[3] for reply in replies[:-1]) >= 300, "seen", replies)
    equal(queue.redis("HGET", META, "schema"), "1", "schema")
    equal(queue.redis("EXISTS", queue.key("mig")), 0, "the cursor is left")
    equal(queue.call("job_migrate", 50), ["DONE", "1"], "once more")


def old_workers_are_forgotten(queue: Queue) -> None:
    queue.submit("a")
    queue.claim("w1", "n1")
    queue.pass_time(86400001)
    queue.tick()
    equal(queue.members("workers"), [], "workers")
    equal(queue.redis("HGETALL", queue.key("claims")), [], "claims")
    equal(queue.members("lw", "l"), [], "workers of the lane")


CORRUPTIONS = [
    ("I1", ("ZREM", "run", "run0")),
    ("I1", ("ZADD", "delay", 1, "wait0")),
    ("I1", ("ZREM", "lq:l", "wait0")),
    ("I1", ("HSET", "job:wait0", "st", "running")),
    ("I2", ("HDEL", "job:run0", "lease")),
    ("I2", ("SREM", "live:t1", "wait0")),
    ("I2", ("ZREM", "term", "done0")),
    ("I2", ("ZADD", "qttl", 1, "done0")),
    ("I3", ("SREM", "runt:t1", "run0")),
    ("I4", ("ZREM", "ring:l", "t1")),
    ("I4", ("ZADD", "ring:l", 1, "idle")),
    ("I5", ("XADD", "ev:done0", "*", "j", "done0", "n", "t1", "t", "failed")),
    ("I7", ("DEL", "wh:done0:completed")),
    ("I7", ("ZREM", "whdue", "done0:completed")),
    ("I8", ("SADD", "whin:https://one.example", "done0:completed")),
    ("I9", ("HSET", "job:run0", "try", 99)),
    ("I9", ("HSET", "job:run0", "crash", "many")),
    ("I12", ("ZREM", "idx:t1", "wait0")),
    ("I12", ("DEL", "spec:wait0")),
    ("I15", ("SET", "spec:nobody", "x")),
    ("I15", ("ZADD", "run", 1, "nobody")),
    ("I15", ("SADD", "live:t1", "nobody")),
    ("I15", ("SET", "mystery", "x")),
    ("I15", ("SET", "idem:t1:k", "nobody f")),
    ("R1", ("HSET", "job:wait0", "st", "garbage")),
    ("R1", ("HDEL", "job:wait0", "tenant")),
    ("R3", ("SET", "qttl", "x")),
]


def the_audit_sees_every_corruption(queue: Queue) -> None:
    for invariant, (verb, key, *rest) in CORRUPTIONS:
        queue.reset()
        end_jobs(queue, 1, HOOK, "done")
        queue.submit("run0")
        queue.claim("w1", "n9")
        queue.submit("wait0")
        equal(queue.audit(), [], "the audit before")
        queue.redis(verb, PREFIX + key, *rest)
        found = [text for text in queue.audit() if text.startswith(invariant + " ")]
        expect(found, "the audit does not see", verb, key, "as", invariant, ":", queue.audit())


SCENARIOS = [thing for name, thing in list(globals().items())
             if callable(thing) and getattr(thing, "__module__", None) == __name__
             and name not in ("equal", "claim_id", "live", "hooks", "report", "end_jobs")]


def run_all(queue: Queue, without=None) -> int:
    for scenario in SCENARIOS:
        if scenario is without:
            continue
        queue.reset()
        try:
            scenario(queue)
        except Exception as failure:
            expect(False, "scenario", scenario.__name__ + ":", repr(failure))
    return len(SCENARIOS)
