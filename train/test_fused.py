"""Each function of fused/ against the torch expression that it stands for, values and gradients.

    python -m pytest test_fused.py
"""
import pytest
import torch
import torch.nn.functional as F

import fused
from dit import CONFIG as DIT, DiT, modulate, rope_table
from train_vae import CONFIG as VAE_CONFIG
from vae import VAE

pytestmark = pytest.mark.skipif(not fused.use(), reason="no C compiler here")


def draw(seed, *shape, dtype=torch.bfloat16):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype).requires_grad_()


def close(a, b, tolerance=2e-2):
    a, b = a.double(), b.double()
    assert a.shape == b.shape and torch.isfinite(a).all()
    assert (a - b).norm() <= tolerance * b.norm() + 1e-9, float((a - b).norm() / b.norm())


def compare(ours, truth, inputs, tolerance=1e-2):
    """Values and gradients of `ours` in its own types against `truth` in fp64."""
    wide = [t.detach().double().requires_grad_() for t in inputs]
    y, want = ours(*inputs), truth(*wide)
    close(y, want, tolerance)
    g = torch.randn(want.shape, generator=torch.Generator().manual_seed(99)).to(y.dtype)
    got, right = torch.autograd.grad(y, inputs, g), torch.autograd.grad(want, wide, g.double())
    for a, b in zip(got, right):
        close(a, b, tolerance)


@pytest.mark.parametrize("frames,front", [(1, 0), (5, 2), (3, 0)])
def test_norm_silu_with_frames_of_zeros_before_it(frames, front):
    def truth(x, gamma):
        y = F.silu(x * torch.rsqrt(x.square().sum(1, keepdim=True)) * 32 ** 0.5 * gamma)
        return F.pad(y, (0, 0, 0, 0, front, 0))
    compare(lambda x, g: fused.norm_silu(x, g, front), truth,
            [draw(1, 2, 32, frames, 5, 7), draw(2, 32, 1, 1, 1, dtype=torch.float32)])


@pytest.mark.parametrize("groups", [1, 3])
def test_layer_norm_with_scale_and_shift(groups):
    def truth(x, a, m):
        return modulate(x, a, m, 1e-6)
    x, a, m = (draw(i, *s, dtype=torch.float32) for i, s in enumerate([(2, 6, 48), (2, groups, 48), (2, groups, 48)]))
    compare(lambda *t: fused.ln_mod(*t, 1e-6), truth, [x, a, m])


def test_gate():
    x, v, g = draw(1, 2, 6, 48, dtype=torch.float32), draw(2, 2, 6, 48), draw(3, 2, 3, 48, dtype=torch.float32)
    compare(fused.gate_add, lambda x, v, g: x + (v.view(2, 3, 2, 48) * g[:, :, None]).view(2, 6, 48), [x, v, g])


@pytest.mark.parametrize("turned", [True, False])
def test_heads_are_normed_and_turned(turned):
    cos, sin = rope_table(2, 3, 4, 64) if turned else (None, None)
    def truth(x, w):
        y = (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * w).unflatten(-1, (3, 64))
        if turned:
            a, b = y.unflatten(-1, (-1, 2)).unbind(-1)
            c, s = cos.double()[:, None], sin.double()[:, None]
            y = torch.stack([a * c - b * s, a * s + b * c], -1).flatten(-2)
        return 0.125 * y.transpose(1, 2)
    compare(lambda x, w: fused.heads_of(x, w, 3, 1e-6, 0.125, cos, sin), truth,
            [draw(1, 2, 24, 192), draw(2, 192, dtype=torch.float32)])


@pytest.mark.parametrize("keys,masked", [(24, False), (7, True)])
def test_attention_with_a_mask_of_logits(keys, masked):
    mask = torch.randn(2, 1, 1, keys) if masked else None
    def truth(q, k, v):
        a = q @ k.transpose(-1, -2)
        return torch.softmax(a if mask is None else a + mask, -1) @ v
    compare(lambda *t: fused.attend(*t, mask), truth, [draw(1, 2, 3, 24, 64), draw(2, 2, 3, keys, 64), draw(3, 2, 3, keys, 64)],
            tolerance=2e-2)


def test_gelu_and_linear():
    compare(fused.gelu, lambda x: F.gelu(x, approximate="tanh"), [draw(1, 1000)])
    compare(fused.linear, F.linear, [draw(1, 3, 50, 32), draw(2, 24, 32, dtype=torch.float32),
                                     draw(3, 24, dtype=torch.float32)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_picture_loss_and_its_parts(dtype):
    x, y = torch.rand(1, 3, 2, 8, 9), draw(1, 1, 3, 2, 8, 9, dtype=dtype)
    def truth(y):
        e = y - x.double()
        parts = [e.abs().mean(), e.square().mean(), (e[..., 1:] - e[..., :-1]).abs().mean(),
                 (e[..., 1:, :] - e[..., :-1, :]).abs().mean()]
        return 1.0 * parts[0] + 2.0 * parts[1] + 0.5 * parts[2] + 0.7 * parts[3]
    compare(lambda y: fused.picture_loss(y, x, (1.0, 2.0, 0.5, 0.7))[0], truth, [y], tolerance=4e-3)


def gradients(model, loss, faster):
    fused.use(faster)
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss()
    value.backward()
    fused.use()
    return float(value.detach()), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def whole(model, loss):
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.add_(0.02 * torch.randn(p.shape, generator=torch.Generator().manual_seed(i)))
    (a, ga), (b, gb) = gradients(model, loss, True), gradients(model, loss, False)
    assert abs(a - b) < 5e-3 * abs(b) and ga.keys() == gb.keys()
    for n in gb:
        close(ga[n], gb[n], 0.06)


def test_the_whole_transformer_has_the_same_gradients():
    torch.manual_seed(1)
    m = DiT({**DIT, "num_layers": 2})
    m.gelu = "tanh"
    x, v, t = torch.randn(2, 48, 3, 4, 5), torch.randn(2, 48, 3, 4, 5), torch.rand(2, 3) * 1000
    rows, real = torch.randn(2, 6, 256), torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    whole(m, lambda: (m(x, t, rows, real) - v).square().mean())


@pytest.mark.parametrize("frames", [1, 5])
def test_the_whole_autoencoder_has_the_same_gradients(frames):
    torch.manual_seed(1)
    m, x = VAE(VAE_CONFIG), torch.rand(2, 3, frames, 32, 48)
    whole(m, lambda: (m.decode(m.encode(x)[0]).float() - x).square().mean())


def test_one_frame_needs_only_the_last_tap_of_a_causal_kernel():
    m, x = VAE(VAE_CONFIG).decoder.conv_in, torch.randn(2, VAE_CONFIG["z_dim"], 1, 4, 4)
    full = F.conv3d(F.pad(x, (0, 0, 0, 0, 2, 0)), m.weight, m.bias, padding=m.padding)
    assert (m(x) - full).abs().max() < 1e-5
