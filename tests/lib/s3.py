"""s3.py - a real S3 server (moto) behind a gate that checks signatures and plays tricks.

moto stores, conditions and joins parts as S3 does, but believes every signature. So the gate
computes each one anew with botocore, which is AWS's own code, and only passes what agrees. `trick`
is called with each request and may answer in its place.
"""
import http.client
import http.server
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import stack

KEY, SECRET, REGION, BUCKET = "tester", "testersecret", "us-east-1", "clips"
DROP = "drop"  # a trick: the request is done, its answer is lost


def signature_of(method, path, headers):
    """What botocore signs for this request, and what came."""
    parts = urllib.parse.urlsplit(path)
    query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
    if "X-Amz-Signature" in query:
        came = query.pop("X-Amz-Signature")
        auth = S3SigV4QueryAuth(Credentials(KEY, SECRET), "s3", REGION)
        names, date = query["X-Amz-SignedHeaders"].split(";"), query["X-Amz-Date"]
    else:
        fields = dict(f.strip().split("=", 1) for f in headers["authorization"].split(" ", 1)[1].split(","))
        came, names, date = fields["Signature"], fields["SignedHeaders"].split(";"), headers["x-amz-date"]
        auth = S3SigV4Auth(Credentials(KEY, SECRET), "s3", REGION)
    request = AWSRequest(method=method, url=f"http://{headers['host']}{parts.path}", params=query)
    for name in names:
        request.headers[name] = headers[name]
    request.context["timestamp"] = date
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request), came


class Gate(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def date_time_string(self, timestamp=None):
        return super().date_time_string((timestamp or time.time()) + self.server.clock_s)

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                self.send_header(name, value)
        length = dict((n.lower(), v) for n, v in headers).get("content-length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = True

    def error(self, status, code):
        self.answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

    def pass_on(self, body):
        c = http.client.HTTPConnection("127.0.0.1", self.server.moto_port, timeout=60)
        c.request(self.command, self.path, body=body, headers=dict(self.headers.items()))
        r = c.getresponse()
        data = r.read()
        c.close()
        return r.status, data, r.getheaders()

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {k.lower(): v for k, v in self.headers.items()}
        self.server.seen.append((self.command, self.path))
        want, came = signature_of(self.command, self.path, headers)
        if want != came:
            return self.error(403, "SignatureDoesNotMatch")
        trick = self.server.trick(self.command, self.path, headers)
        if isinstance(trick, tuple):
            return self.error(*trick)
        reply = self.pass_on(body)
        if trick == DROP:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return None
        return self.answer(*reply)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_one


class Server:
    """moto and the gate; stopped by pid and by name."""

    def __enter__(self):
        self.moto_port = stack.free_port()
        program = pathlib.Path(sys.executable).with_name("moto_server")
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        self.moto = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(self.moto_port)], env=env,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.until(self.make_bucket, seconds=60, say="moto did not answer")
        self.gate = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gate)
        self.gate.daemon_threads = True
        self.gate.moto_port, self.gate.seen, self.gate.trick = self.moto_port, [], lambda *a: None
        self.gate.clock_s = 0  # how far the store's clock is ahead
        threading.Thread(target=self.gate.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.gate.server_address[1]}"
        return self

    def make_bucket(self):
        try:
            return stack.call(f"http://127.0.0.1:{self.moto_port}", "PUT", f"/{BUCKET}").status == 200
        except OSError:
            return False

    def keys(self):
        text = stack.call(f"http://127.0.0.1:{self.moto_port}", "GET", f"/{BUCKET}?list-type=2").body.decode()
        return [part.split("</Key>")[0] for part in text.split("<Key>")[1:]]

    def uploads(self):
        return stack.call(f"http://127.0.0.1:{self.moto_port}", "GET", f"/{BUCKET}?uploads").body.count(b"<Upload>")

    def __exit__(self, *args):
        self.gate.shutdown()
        self.gate.server_close()
        self.moto.terminate()
        self.moto.wait(20)
