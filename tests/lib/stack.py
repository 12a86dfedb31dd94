"""stack.py - the whole service on one machine, for tests: Redis, servers, workers, nginx.

Everything lives in one private directory and on loopback ports that the kernel gave; what was
started is stopped by pid, newest first, also when a test fails. Logs are printed on failure.
Only the standard library is used.

    with Stack(servers=2, workers=1, nginx=True) as s:
        video = s.json("POST", "/v1/videos", {"prompt": "a red ball"})
        s.wait_for(video["id"])
"""
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MISORA_BUILD", ROOT / "build" / "release"))
ENDED = ("completed", "failed")
START_SECONDS = 20


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what, seconds=START_SECONDS, say="it did not happen", pause=0.05):
    """Calls `what` until it is true and returns its value."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{say} within {seconds} s")
        time.sleep(pause)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


def call(url, method, path, body=None, headers=None, timeout=70) -> Reply:
    """One exchange on a connection of its own; a dict body is sent as JSON."""
    parts = urllib.parse.urlsplit(url)
    headers = dict(headers or {})
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
        headers.setdefault("content-type", "application/json")
    conn = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        conn.request(method, path, body=body, headers=headers)
        r = conn.getresponse()
        return Reply(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
    finally:
        conn.close()


class Stack:
    def __init__(self, servers=1, workers=0, nginx=False, auth=False, model=None,
                 server_args=(), worker_args=(), redis_args=(), env=None):
        self.n_servers, self.n_workers = servers, workers
        self.with_nginx, self.auth = nginx, auth
        self.model = pathlib.Path(model or ROOT / "models" / "tiny")
        self.server_args, self.worker_args = list(server_args), list(worker_args)
        self.redis_args = list(redis_args)
        self.extra_env = dict(env or {})
        self.procs = {}  # name -> Popen, in the order of their start
        self.urls, self.metrics_urls, self.key = [], [], None

    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="misora-test-"))
        for name in ("redis", "store", "spool", "log"):
            (self.dir / name).mkdir()
        self.env = {k: v for k, v in os.environ.items()
                    if not k.lower().endswith("_proxy") and not k.startswith("MISORA_")}
        self.redis_port = free_port()
        self.env["MISORA_REDIS_URL"] = f"redis://127.0.0.1:{self.redis_port}"
        self.env.update(self.extra_env)
        try:
            self.start_redis()
            self.admin("migrate")
            if self.auth:
                self.key = self.add_key("tester")
            for i in range(self.n_servers):
                self.start_server(i)
            for i in range(self.n_workers):
                self.start_worker(i)
            if self.with_nginx:
                self.start_nginx()
        except BaseException:
            self.show_logs()
            self.stop()
            raise
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.show_logs()
        self.stop()

    # ---- processes ----

    def spawn(self, name, args, env=None):
        with open(self.dir / "log" / f"{name}.log", "ab") as log:
            self.procs[name] = subprocess.Popen(
                [str(a) for a in args], stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                cwd=ROOT, env={**self.env, **(env or {})})
        return self.procs[name]

    def start_redis(self):
        self.spawn("redis", ["redis-server", ROOT / "deploy" / "redis.conf", "--port", self.redis_port,
                             "--dir", self.dir / "redis", *self.redis_args])
        until(lambda: self.redis("PING") == "PONG", say="Redis did not answer")

    def start_server(self, i=0):
        while len(self.urls) <= i:
            self.urls.append(f"http://127.0.0.1:{free_port()}")
            self.metrics_urls.append(f"http://127.0.0.1:{free_port()}")
        args = [] if self.auth else ["--no-auth"]
        self.spawn(f"server{i}", [
            BUILD / "misora-server", "--port", self.urls[i].rsplit(":", 1)[1],
            "--metrics-port", self.metrics_urls[i].rsplit(":", 1)[1], "--store-dir", self.dir / "store",
            "--models-dir", self.model.parent, "--drain-notice", "0ms", *args, *self.server_args])
        until(lambda: self.is_ready(self.urls[i], f"server{i}"), say=f"server {i} was not ready")

    def is_ready(self, url, name):
        if self.procs[name].poll() is not None:
            raise RuntimeError(f"{name} ended with status {self.procs[name].returncode}")
        try:
            return call(url, "GET", "/readyz", timeout=2).status == 200
        except OSError:
            return False

    def start_worker(self, i=0):
        (self.dir / "spool" / str(i)).mkdir(exist_ok=True)
        return self.spawn(f"worker{i}", [
            BUILD / "misora-worker", "--store-dir", self.dir / "store", "--spool-dir",
            self.dir / "spool" / str(i), "--model-dir", self.model, *self.worker_args])

    def start_nginx(self):
        """The shipped file with its ports, paths and user replaced."""
        text = (ROOT / "deploy" / "nginx.conf").read_text()
        self.nginx_url = f"http://127.0.0.1:{free_port()}"
        ports = [u.rsplit(":", 1)[1] for u in self.urls]
        first = "server 127.0.0.1:8081 max_fails=1 fail_timeout=2s;"
        second = "server 127.0.0.1:8082 max_fails=1 fail_timeout=2s;"
        assert first in text and second in text
        text = text.replace(second, "").replace(
            first, "\n".join(f"server 127.0.0.1:{p} max_fails=1 fail_timeout=2s;" for p in ports))
        text = text.replace("listen 8080;", f"listen {self.nginx_url[7:]};")
        text = text.replace("/var/log/nginx/", f"{self.dir}/log/")
        paths = "".join(f"    {k}_temp_path {self.dir}/nginx_{k};\n"
                        for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        text = text.replace("http {\n", "http {\n" + paths, 1)
        conf = self.dir / "nginx.conf"
        # Its workers keep large bodies in our private folder, which other users cannot enter.
        user = "user root;\n" if os.geteuid() == 0 else ""
        conf.write_text(f"daemon off;\n{user}pid {self.dir}/nginx.pid;\n" + text)
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        self.spawn("nginx", [program, "-c", conf, "-e", self.dir / "log" / "nginx.start.log"])
        until(lambda: self.is_ready(self.nginx_url, "nginx"), say="nginx was not ready")

    def kill(self, name, sig=signal.SIGKILL):
        """Sends a signal; waits for the end of what cannot survive it."""
        p = self.procs[name]
        p.send_signal(sig)
        if sig in (signal.SIGKILL, signal.SIGTERM):
            p.wait(timeout=40)

    def children(self, name):
        """Pids of the direct children of a process."""
        path = pathlib.Path(f"/proc/{self.procs[name].pid}/task/{self.procs[name].pid}/children")
        return [int(p) for p in path.read_text().split()]

    def stop(self):
        for name in reversed(list(self.procs)):
            p = self.procs[name]
            if p.poll() is None:
                p.send_signal(signal.SIGCONT)
                p.terminate()
        for name in reversed(list(self.procs)):
            try:
                self.procs[name].wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.procs[name].kill()
                self.procs[name].wait()
        self.procs.clear()
        shutil.rmtree(self.dir, ignore_errors=True)

    def log(self, name) -> str:
        return (self.dir / "log" / f"{name}.log").read_text(errors="replace")

    def show_logs(self):
        for path in sorted((self.dir / "log").glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-40:]
            print(f"--- {path.name}\n" + "\n".join(lines))

    # ---- talking to it ----

    @property
    def url(self):
        return self.nginx_url if self.with_nginx else self.urls[0]

    def call(self, method, path, body=None, headers=None, url=None, timeout=70) -> Reply:
        headers = dict(headers or {})
        if self.key and not any(k.lower() == "authorization" for k in headers):
            headers["authorization"] = f"Bearer {self.key}"
        return call(url or self.url, method, path, body, headers, timeout)

    def json(self, method, path, body=None, **more):
        """The JSON of an answer that must be 200."""
        reply = self.call(method, path, body, **more)
        assert reply.status == 200, (method, path, reply)
        return reply.json()

    def create(self, prompt="a red ball bounces in a green meadow", **fields):
        return self.json("POST", "/v1/videos", {"prompt": prompt, "size": "128x80", "seconds": "1",
                                                "steps": 2, **fields})

    def wait_for(self, job_id, seconds=120, status=ENDED):
        status = (status,) if isinstance(status, str) else status

        def look():
            video = self.json("GET", f"/v1/videos/{job_id}")
            return video if video["status"] in status else None
        return until(look, seconds, f"{job_id} was not {'/'.join(status)}", pause=0.1)

    def admin(self, *words, check=True):
        p = subprocess.run([str(BUILD / "misora"), "admin", *words], env=self.env, capture_output=True,
                           text=True, cwd=ROOT, timeout=60)
        if check and p.returncode != 0:
            raise RuntimeError(f"admin {words}: {p.returncode} {p.stdout} {p.stderr}")
        return p

    def add_key(self, tenant, *more) -> str:
        out = self.admin("keys", "add", "--tenant", tenant, *more).stdout
        return next(w for w in out.split() if w.startswith("mis_") and w.count("_") >= 3)

    # ---- a minimal Redis client ----

    def redis(self, *args):
        """One command on a fresh connection; None when Redis is away."""
        try:
            with socket.create_connection(("127.0.0.1", self.redis_port), timeout=5) as s:
                words = [str(a).encode() for a in args]
                s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
                return self._reply(s.makefile("rb"))
        except (OSError, ValueError):
            return None

    def _reply(self, f):
        line = f.readline().decode().rstrip("\r\n")
        kind, rest = line[:1], line[1:]
        if kind == "+":
            return rest
        if kind == ":":
            return int(rest)
        if kind == "$":
            return None if rest == "-1" else f.read(int(rest) + 2)[:-2].decode(errors="replace")
        if kind == "*":
            return [self._reply(f) for _ in range(int(rest))]
        if kind == "-":
            return "-" + rest
        raise ValueError(line)
