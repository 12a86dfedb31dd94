"""The element-wise parts of a training step on a CPU, each in one pass (fused.c).

    fused.use()        once, in a training process: compiles fused.c if it has to; False where it cannot
    fused.on(x)        is x to be worked on that way? Only under bf16 autocast, on the CPU, after use()

Every function stands for a torch expression that its docstring names; test_fused.py holds values and
gradients to it. Without a C compiler, on a GPU and in fp32 the networks run the expression itself.
"""
import ctypes
import hashlib
import os
import subprocess
import tempfile

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.environ.get("FUSED_CACHE", os.path.join(HERE, "..", "..", "build", "fused"))
FLAGS = ["-std=gnu11", "-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-fPIC"]
lib = None


def build():
    """-> the library's path. Linked without -ffast-math, which would change the rounding of the whole process."""
    source = os.path.join(HERE, "fused.c")
    with open(source, "rb") as f, open("/proc/cpuinfo", "rb") as cpu:
        flags = next((line for line in cpu if line.startswith(b"flags")), b"")
        name = hashlib.sha256(f.read() + flags + " ".join(FLAGS).encode()).hexdigest()[:16]
    path = os.path.join(CACHE, f"fused-{name}.so")
    if not os.path.exists(path):
        os.makedirs(CACHE, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as tmp:
            part, done = os.path.join(tmp, "fused.o"), os.path.join(tmp, "fused.so")
            subprocess.run(["cc", *FLAGS, "-c", source, "-o", part], check=True, capture_output=True)
            subprocess.run(["cc", "-shared", part, "-o", done, "-lm"], check=True, capture_output=True)
            os.replace(done, path)
    return path


def use(wanted=True):
    global lib
    if not wanted:
        lib = None
        return False
    try:
        lib = ctypes.CDLL(build())
    except (OSError, subprocess.CalledProcessError) as e:
        print(f"fused: not used ({str(e)[:200]}); the same steps run more slowly", flush=True)
    return lib is not None


def on(x):
    return lib is not None and x.device.type == "cpu" and torch.is_autocast_enabled("cpu")


def call(name, *args):
    """Tensors go as pointers, whole numbers as long, the rest as float. Tensors must be contiguous."""
    c = []
    for a in args:
        if torch.is_tensor(a):
            assert a.is_contiguous(), name
            c.append(ctypes.c_void_p(a.data_ptr()))
        elif a is None:
            c.append(ctypes.c_void_p(None))
        else:
            c.append(ctypes.c_long(a) if isinstance(a, int) else ctypes.c_float(a))
    getattr(lib, "fused_" + name)(*c)


def half(x):
    return x.to(torch.bfloat16).contiguous()


class NormSilu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, gamma, front):
        b, c, t = x.shape[:3]
        s, x, g = x[0, 0].numel(), half(x), gamma.detach().float().contiguous()
        y = x.new_empty(b, c, t + front, *x.shape[3:])
        ctx.sizes = b, c, s, front * (s // t)
        call("norm_silu", y, x, g, *ctx.sizes)
        ctx.save_for_backward(x, g)
        ctx.shape = gamma.shape
        return y

    @staticmethod
    def backward(ctx, dy):
        x, g = ctx.saved_tensors
        dx, dg = torch.empty_like(x), torch.zeros_like(g)
        call("norm_silu_back", dx, dg, half(dy), x, g, *ctx.sizes)
        return dx, dg.view(ctx.shape), None


def norm_silu(x, gamma, front=0):
    """F.silu(x / rms over channels * gamma) of [B, C, T, H, W], with `front` frames of zeros before it."""
    return NormSilu.apply(x, gamma, front)


class Picture(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y, x, weights):
        h, w, x = *x.shape[-2:], x.contiguous()
        planes = x.numel() // (h * w)
        n = (x.numel(), x.numel(), planes * h * (w - 1), planes * (h - 1) * w)
        k = torch.tensor([a / b for a, b in zip(weights, n)])
        y, sums, d = y.contiguous(), torch.zeros(4, dtype=torch.float64), torch.empty_like(x)
        call("loss", sums, d, y, x, planes, h, w, k, int(y.dtype == torch.float32))
        ctx.save_for_backward(d)
        means = (sums / torch.tensor(n, dtype=torch.float64)).float()
        return (means * torch.tensor(weights)).sum(), means

    @staticmethod
    def backward(ctx, g, _):
        return ctx.saved_tensors[0] * g, None, None


def picture_loss(y, x, weights):
    """-> weights . (mean |e|, mean e^2, mean |e across|, mean |e along|) with e = y - x, and the four means."""
    return Picture.apply(y, x, weights)


class LnMod(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, shift, scale, eps):
        d = x.shape[-1]
        shift, scale = shift.float().contiguous(), scale.float().contiguous()
        g = shift.numel() // d
        ctx.sizes = g, x.numel() // (g * d), d, float(eps)
        x = x.contiguous()
        y = torch.empty_like(x, dtype=torch.bfloat16)
        call("ln_mod", y, x, shift, scale, *ctx.sizes)
        ctx.save_for_backward(x, scale)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, scale = ctx.saved_tensors
        dx, da, dm = torch.empty_like(x), torch.zeros_like(scale), torch.zeros_like(scale)
        call("ln_mod_back", dx, da, dm, half(dy), x, scale, *ctx.sizes)
        return dx, da, dm, None


def ln_mod(x, shift, scale, eps):
    """layer_norm(x) * (1 + scale) + shift in bf16; x [B, N, d] fp32, shift and scale [groups..., d], of equal runs of rows."""
    return LnMod.apply(x, shift, scale, eps)


class Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, v, gate):
        d, gate, v = x.shape[-1], gate.float().contiguous(), half(v)
        g = gate.numel() // d
        ctx.sizes = g, x.numel() // (g * d), d
        x = x.contiguous()
        y = torch.empty_like(x)
        call("gate", y, x, v, gate, *ctx.sizes)
        ctx.save_for_backward(v, gate)
        return y

    @staticmethod
    def backward(ctx, dy):
        v, gate = ctx.saved_tensors
        dv, dg = torch.empty_like(v), torch.zeros_like(gate)
        call("gate_back", dv, dg, dy.contiguous(), v, gate, *ctx.sizes)
        return dy, dv, dg


def gate_add(x, v, gate):
    """x + v * gate; x [B, N, d] fp32, v bf16, gate [groups..., d]."""
    return Gate.apply(x, v, gate)


class Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b):
        rows, wh = half(x).flatten(0, -2), half(w)
        y = torch.addmm(half(b), rows, wh.t())
        ctx.save_for_backward(rows, wh)
        ctx.shape = x.shape
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx, dy):
        rows, wh = ctx.saved_tensors
        dy = half(dy).flatten(0, -2)
        dx = (dy @ wh).view(ctx.shape) if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return dx, None, None
        db = torch.zeros(dy.shape[1])
        call("columns", db, dy, *dy.shape)
        return dx, (dy.t() @ rows).float(), db


def linear(x, w, b):
    """F.linear in bf16; the gradient of the bias is summed in fp32."""
    return Linear.apply(x, w, b)


class Heads(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, heads, eps, size, cos, sin):
        b, n, d = x.shape
        x, w = half(x), w.detach().float().contiguous()
        y = x.new_empty(b, heads, n, d // heads)
        ctx.sizes = b, n, heads, d, d, float(eps), float(size)
        call("heads", y, x, w, cos, sin, *ctx.sizes)
        ctx.save_for_backward(x, w, cos, sin)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, w, cos, sin = ctx.saved_tensors
        dx, dw = torch.empty_like(x), torch.zeros_like(w)
        call("heads_back", dx, dw, half(dy), x, w, cos, sin, *ctx.sizes)
        return dx, dw, None, None, None, None, None


def heads_of(x, w, heads, eps, size=1.0, cos=None, sin=None):
    """size * rotate(rms_norm(x, w)) as [B, heads, N, d / heads]; cos and sin [N, d / heads / 2] or none."""
    return Heads.apply(x, w, heads, eps, size, cos, sin)


class Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, mask):
        b, h, n, hd = q.shape
        m = k.shape[2]
        q, k, v = (half(t).view(b * h, -1, hd) for t in (q, k, v))
        p = torch.bmm(q, k.transpose(1, 2))
        rows = mask.expand(b, 1, 1, m).float().contiguous() if mask is not None else None
        call("softmax", p, rows, b if rows is not None else 1, h * n if rows is not None else b * h * n, m)
        ctx.save_for_backward(q, k, v, p)
        return torch.bmm(p, v).view(b, h, n, hd)

    @staticmethod
    def backward(ctx, do):
        q, k, v, p = ctx.saved_tensors
        shape, do = do.shape[:2] + (-1, do.shape[-1]), half(do).view(q.shape)
        dv = torch.bmm(p.transpose(1, 2), do)
        ds = torch.bmm(do, v.transpose(1, 2))
        call("softmax_back", ds, p, p.shape[0] * p.shape[1], p.shape[2])
        return torch.bmm(ds, k).view(shape), torch.bmm(ds.transpose(1, 2), q).view(shape), dv.view(shape), None


def attend(q, k, v, mask=None):
    """softmax(q k^T + mask) v over [B, heads, N, head_dim]; the scale is q's already; mask [B, 1, 1, M]."""
    return Attend.apply(q, k, v, mask)


class Gelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x = half(x)
        ctx.save_for_backward(x)
        y = torch.empty_like(x)
        call("gelu", y, x, x.numel())
        return y

    @staticmethod
    def backward(ctx, dy):
        x, = ctx.saved_tensors
        dx = torch.empty_like(x)
        call("gelu_back", dx, half(dy), x, x.numel())
        return dx


def gelu(x):
    """F.gelu(x, approximate="tanh")"""
    return Gelu.apply(x)


def split_heads(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def attention(m, x, context, rope, mask):
    """dit.Attention.forward."""
    d, y = m.to_q.weight.shape[0], x if context is None else context
    if context is None:
        w = torch.cat([m.to_q.weight, m.to_k.weight, m.to_v.weight])
        q, k, v = linear(x, w, torch.cat([m.to_q.bias, m.to_k.bias, m.to_v.bias])).split(d, -1)
    else:
        q = linear(x, m.to_q.weight, m.to_q.bias)
        k, v = linear(y, torch.cat([m.to_k.weight, m.to_v.weight]), torch.cat([m.to_k.bias, m.to_v.bias])).split(d, -1)
    cos, sin = rope if rope is not None else (None, None)
    q = heads_of(q, m.norm_q.weight, m.heads, m.norm_q.eps, (d // m.heads) ** -0.5, cos, sin)
    k = heads_of(k, m.norm_k.weight, m.heads, m.norm_k.eps, 1.0, cos, sin)
    a = attend(q, k, split_heads(v, m.heads), mask).transpose(1, 2).flatten(2)
    return linear(a, m.to_out[0].weight, m.to_out[0].bias)


def block(m, x, text, mask, mod, cos, sin):
    """dit.Block.forward with the tanh form of GELU."""
    s = [t.contiguous() for t in (mod + m.scale_shift_table).unbind(2)]
    x = gate_add(x, attention(m.attn1, ln_mod(x, s[0], s[1], m.eps), None, (cos, sin), None), s[2])
    x = x + attention(m.attn2, ln_mod(x, m.norm2.bias, m.norm2.weight - 1, m.norm2.eps), text, None, mask)
    first, last = m.ffn.net[0].proj, m.ffn.net[2]
    h = gelu(linear(ln_mod(x, s[3], s[4], m.eps), first.weight, first.bias))
    return gate_add(x, linear(h, last.weight, last.bias), s[5])
