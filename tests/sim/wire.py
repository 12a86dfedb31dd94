"""A Redis client and a private redis-server, with nothing but the standard library."""
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time


class RedisError(Exception):
    """An error reply."""


class Redis:
    """One blocking connection. Call it with the words of a command; texts come back as str."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    @staticmethod
    def _pack(words) -> bytes:
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            raw = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(raw), raw))
        return b"".join(parts)

    def _read(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError("redis-server went away")
        kind, value = line[:1], line[1:-2]
        if kind == b"+":
            return value.decode()
        if kind == b"-":
            return RedisError(value.decode())
        if kind == b":":
            return int(value)
        if kind == b"$":
            n = int(value)
            return None if n < 0 else self.file.read(n + 2)[:-2].decode()
        n = int(value)
        return None if n < 0 else [self._read() for _ in range(n)]

    def __call__(self, *words):
        return self.many([words])[0]

    def many(self, commands) -> list:
        """Sends all commands at once and returns their replies in order."""
        self.socket.sendall(b"".join(map(self._pack, commands)))
        replies = [self._read() for _ in commands]
        for reply in replies:
            if isinstance(reply, RedisError):
                raise reply
        return replies


def _connect(path: str) -> Redis:
    for _ in range(200):
        with contextlib.suppress(OSError):
            return Redis(path)
        time.sleep(0.05)
    raise RuntimeError("redis-server does not start")


@contextlib.contextmanager
def private_server():
    """A connection to a redis-server on a unix socket in a directory of its own; both are gone afterwards."""
    folder = tempfile.mkdtemp(prefix="misora-sim.")
    path = os.path.join(folder, "s")
    command = ["redis-server", "--port", "0", "--unixsocket", path, "--dir", folder, "--save", "",
               "--maxmemory-policy", "noeviction"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield _connect(path)
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)
