"""decoded.py - runs misora-decode on one file and reads its answer (common/base/decode_wire.h).

The answer is read as the C side reads it, the process is measured, and `calls` says what it
asked of the kernel after the doors were closed (needs strace).
"""
import os
import re
import struct
import subprocess

import stack

PROGRAM = stack.BUILD / "misora-decode"
HEAD = "magic is_video has_audio width height fps_milli duration_ms fps n_frames n_given".split()
WARNING, REASON = 120, 200


class Answer:
    def __init__(self, data, size):
        self.warnings, self.frames, self.head, self.error, self.is_whole = [], [], None, None, False
        n, at = size[0] * size[1] * 3, 0
        while at < len(data):
            tag, at = data[at:at + 1], at + 1
            if tag == b"H":
                self.head = dict(zip(HEAD, struct.unpack("10I", data[at:at + 40])))
                at += 40
            elif tag == b"F":
                self.frames.append(data[at:at + n])
                at += n
            elif tag == b"W":
                self.warnings.append(data[at:at + WARNING].split(b"\0")[0].decode("ascii"))
                at += WARNING
            elif tag == b"Z":
                self.is_whole = at == len(data)
                break
            else:
                assert tag == b"E", tag
                self.error = data[at:].decode("ascii")
                assert 0 < len(self.error) <= REASON
                break

    def pixel(self, frame, x, y, width):
        at = (y * width + x) * 3
        return tuple(self.frames[frame][at:at + 3])


def run(path, kind="any", size=(64, 48), fps=0, start=0, n_max=0, trace=None) -> Answer:
    args = [str(PROGRAM), kind, f"{size[0]}x{size[1]}", str(fps), str(start), str(n_max)]
    if trace:
        args = ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=all", *args]
    env = {"PATH": os.environ["PATH"]} if trace else {}
    with open(path, "rb") as file:
        process = subprocess.Popen(args, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   env=env, cwd="/")
        data = process.stdout.read()
        process.stdout.close()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = status  # it is reaped already
    a = Answer(data, size)
    a.signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    a.cpu_s = used.ru_utime + used.ru_stime
    a.memory_bytes = used.ru_maxrss * 1024
    return a


ALLOWED = {"read", "pread64", "write", "close", "brk", "munmap", "mremap", "madvise", "futex", "mmap",
           "mprotect", "clock_gettime", "getrandom", "rt_sigreturn", "rt_sigprocmask", "sched_yield",
           "sched_getaffinity", "exit", "exit_group", "restart_syscall", "getpid", "gettid"}


def calls_in_jail(trace):
    """Names of the calls made after the filter was set, and whether it was set at all."""
    lines = open(trace).read().splitlines()
    names = [m.group(1) if (m := re.match(r"\d+\s+(\w+)\(", line)) else None for line in lines]
    doors = [i for i, line in enumerate(lines) if "PR_SET_SECCOMP" in line]
    return ([n for n in names[doors[-1] + 1:] if n], True) if doors else ([], False)
