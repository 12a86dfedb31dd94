"""Mutation test of the job functions: the simulator must notice every mutant of mutants.py.

usage: mutate.py [--seeds N] [--only PART]     exit 0 when all are killed
"""
import argparse
import contextlib
import io
import sys
import time

import scenarios
from invariants import Violation
from jobs import Queue, library
from mutants import MUTANTS
from sim import run_seeds
from wire import RedisError, private_server

STEPS = 400


def why_killed(redis, text: str, n_seeds: int):
    """What the simulator said about this library, None when it found nothing."""
    redis("FUNCTION", "LOAD", "REPLACE", text)
    queue = Queue(redis)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            scenarios.run_all(queue, without=scenarios.the_audit_sees_every_corruption)
            run_seeds(queue, range(n_seeds), STEPS)
    except (Violation, RedisError) as finding:
        return str(finding)
    except (KeyError, TypeError, ValueError, IndexError) as finding: # a reply that no reader understands
        return repr(finding)
    return None


def mutated(text: str, name: str, old: str, new: str) -> str:
    n = text.count(old)
    if n != 1:
        sys.exit("mutant \"%s\": its text occurs %d times, need 1" % (name, n))
    return text.replace(old, new)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    started, text = time.monotonic(), library()
    chosen = [(name, mutated(text, name, old, new)) for name, old, new in MUTANTS if args.only in name]
    survivors = []
    with private_server() as redis:
        finding = why_killed(redis, text, args.seeds)
        if finding:
            sys.exit("the library itself is not clean: " + finding)
        for name, mutant in chosen:
            finding = why_killed(redis, mutant, args.seeds)
            if finding is None:
                survivors.append(name)
                print("SURVIVED", name, flush=True)
            elif args.verbose:
                print("killed", name, "-", finding[:110], flush=True)
    n = len(chosen)
    print("mutate: %d of %d mutants killed (%.0f %%), %.1f s"
          % (n - len(survivors), n, 100.0 * (n - len(survivors)) / max(n, 1), time.monotonic() - started))
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
