"""rawhttp.py - HTTP as bytes, for requests that no client library would send."""
import json
import socket
import urllib.parse


class Raw:
    """What came back: all bytes until the other end closed or fell silent."""

    def __init__(self, data, ending):
        self.data, self.ending = data, ending
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        self.status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        self.headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}

    @property
    def n_answers(self):
        return self.data.count(b"HTTP/1.1 ")

    def error(self):
        return json.loads(self.body[:int(self.headers["content-length"])])["error"]

    def __repr__(self):
        return f"<{self.status} {self.ending} {self.data[:400]!r}>"


def is_whole(data):
    head, gap, body = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return bool(gap) and len(body) >= int(line.split(b":")[1])
    return False


def send_raw(url, data, silence=0.4, pieces=None, close=False):
    """Sends the bytes (in pieces of a size, if given) and reads until the end; after a whole answer
    it waits only a moment for a second one that should not come."""
    parts = urllib.parse.urlsplit(url)
    out = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if pieces:
                for i in range(0, len(data), pieces):
                    s.sendall(data[i:i + pieces])
            else:
                s.sendall(data)
            if close:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before the end: the answer says why
        try:
            while True:
                s.settimeout(silence if is_whole(out) else 10)
                got = s.recv(1 << 16)
                if not got:
                    return Raw(out, "closed")
                out += got
        except TimeoutError:
            return Raw(out, "open")
        except ConnectionResetError:
            return Raw(out, "reset")


def form(*parts, boundary="XYZ", end=True):
    """A multipart body; a part is (name, value) or (name, value, file name) or bytes as they are."""
    out = b""
    for part in parts:
        out += b"--" + boundary.encode() + b"\r\n"
        if isinstance(part, bytes):
            out += part + b"\r\n"
            continue
        name, value, *file = part
        value = value if isinstance(value, bytes) else value.encode()
        out += b'Content-Disposition: form-data; name="' + name.encode() + b'"'
        if file:
            out += b'; filename="' + file[0].encode() + b'"\r\nContent-Type: application/octet-stream'
        out += b"\r\n\r\n" + value + b"\r\n"
    return out + (b"--" + boundary.encode() + b"--\r\n" if end else b"")
