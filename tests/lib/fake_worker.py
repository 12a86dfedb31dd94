"""fake_worker.py - a worker without a model: claims a job and publishes given files as its result."""
import hashlib
import json
import secrets


class FakeWorker:
    def __init__(self, stack, lane="default"):
        self.stack, self.lane, self.name = stack, lane, "fake-" + secrets.token_hex(4)
        self.id = self.lease = None

    def fcall(self, name, *args):
        reply = self.stack.redis("FCALL", name, 1, "{misora}:meta", *args)
        assert isinstance(reply, list), (name, reply)
        return reply

    def claim(self):
        """The canonical request of the next job, or None."""
        reply = self.fcall("job_claim", self.name, secrets.token_hex(16), 30000, self.lane)
        if reply[0] != "OK":
            return None
        self.id, self.lease = reply[1], reply[2]
        return json.loads(reply[3])

    def beat(self, progress, phase="denoise", step=0, steps=10, eta_ms=1000):
        return self.fcall("job_beat", self.id, self.lease, 30000, progress, phase, step, steps, eta_ms, "")[0]

    def fail(self, code="internal_error", message="it broke", why="fatal"):
        return self.fcall("job_fail", self.id, self.lease, why, code, message, 0, "")[0]

    def _put(self, data, extension, media_type):
        key = f"t/{self.id}/{self.lease[:12]}.{extension}"
        path = self.stack.dir / "store" / "obj" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return {"key": key, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "type": media_type}

    def complete(self, video, thumbnail=None, spritesheet=None, warnings=()):
        result = {"video": self._put(video, "mp4", "video/mp4")}
        if thumbnail:
            result["thumbnail"] = self._put(thumbnail, "webp", "image/webp")
        if spritesheet:
            result["spritesheet"] = self._put(spritesheet, "jpg", "image/jpeg")
        result.update(width=128, height=80, fps=16, num_frames=17, seed=7, compute_ms=1500, warnings=list(warnings))
        return self.fcall("job_complete", self.id, self.lease, json.dumps(result))[0]
