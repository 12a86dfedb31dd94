"""What a training step sees: noise levels, captions, loops, the optimiser and the schedule, held to their definitions.

    python -m pytest test_order.py
"""
import json

import numpy as np
import pytest
import torch

import train_dit
from common import Optimiser, Schedule, average, rng_for
from distill import STEPS, SUBSTEPS, sigmas, walk
from dit import CONFIG, DiT
from encode import Latents
from train_dit import PATTERNS, Batch, draw_levels, flow_loss, one_level, turn_loops


def kind_of(t):
    """The pattern that levels of nine frames show."""
    known = t == 0
    if known.any():
        a, b = known[0], known[-1]
        return "both" if a and b else "suffix" if b else "first" if known.sum() == 1 else "prefix"
    if (t == t[0]).all():
        return "one"
    return "worn" if (t[4:] == t[-1]).all() and t[0] <= 0.2 else "each"


def test_shares_of_the_noise_patterns():
    rng, n = np.random.default_rng(1), 20000
    seen = [kind_of(draw_levels(rng, 9)) for _ in range(n)]
    share = {k: seen.count(k) / n for k in set(seen)}
    want = {k: s for s, k in PATTERNS}
    assert want == {"one": .5, "each": .2, "first": .08, "prefix": .08, "suffix": .04, "both": .05, "worn": .05}
    want["first"], want["prefix"] = want["first"] + want["prefix"] / 4, want["prefix"] * 3 / 4  # a prefix of one in four
    for k, s in want.items():
        assert abs(share[k] - s) < 0.012, (k, share[k], s)


@pytest.mark.parametrize("kind", [k for _, k in PATTERNS])
def test_every_pattern_leaves_something_to_learn_and_images_are_plain(kind):
    rng = np.random.default_rng(2)
    for frames in (2, 3, 5, 9, 13):
        for _ in range(200):
            t = draw_levels(rng, frames, kind=kind)
            assert (t >= 0).all() and (t <= 1).all() and (t > 0).any()
    assert draw_levels(rng, 1, kind=kind)[0] > 0


def test_levels_are_logit_normal_with_a_tenth_uniform_and_shifted_for_many_tokens():
    draw = lambda tokens: np.sort([one_level(np.random.default_rng([3, i]), tokens) for i in range(20000)])
    few, many = draw(999), draw(1000)
    z = np.random.default_rng(4).standard_normal(180000)
    want = np.sort(np.concatenate([1 / (1 + np.exp(-z)), np.random.default_rng(5).random(20000)]))
    for q in (.05, .25, .5, .75, .95):
        assert abs(np.quantile(few, q) - np.quantile(want, q)) < 0.012
    assert np.abs(many - 2 * few / (1 + few)).max() < 1e-6


def shards(path, loop=True, frames=5):
    z = torch.arange(frames, dtype=torch.float32)[None, None, :, None, None].expand(4, 2, frames, 2, 2)
    captions = [{"short_en": "s", "long_en": "l", "short_zh": "短", "long_zh": "长", "labels": {"loop": loop}}] * 4
    torch.save({"z": z.half(), "captions": captions, "seed": 0}, path / "lat-0.pt")
    (path / "stats.json").write_text(json.dumps({"mean": [0.0] * 2, "std": [1.0] * 2}))
    return Latents(str(path))


class Words:
    def batch(self, texts, limit):
        self.texts = texts
        return torch.ones(len(texts), 1, dtype=torch.long)


def test_loops_begin_anywhere_but_not_where_frames_are_known(tmp_path):
    latents, turned = shards(tmp_path), set()
    for i in range(300):
        b = Batch(rng_for(1, i), latents, Words(), 200, True)
        for x, t in zip(b.x0, b.t):
            ring = x[0, :, 0, 0]
            if len(ring) > 1:
                assert sorted(ring.tolist()) == list(range(5)) and ((ring[1:] - ring[:-1]) % 5 == 1).all()
                turned |= {int(ring[0])} if (t > 0.2).all() else set()
                assert ring[0] == 0 or (t > 0.2).all()
    assert turned == set(range(5))
    x = torch.arange(5.0)[None, None, :, None, None].clone()
    turn_loops(np.random.default_rng(1), x, np.ones((1, 5)), [{"labels": {"loop": False}}])
    assert x.flatten().tolist() == list(range(5))


def test_shares_of_captions(tmp_path):
    latents, words, texts = shards(tmp_path, loop=False), Words(), []
    for i in range(800):
        Batch(rng_for(2, i), latents, words, 80, True, short=0.05)
        texts += words.texts
    n = len(texts)
    share = lambda some: sum(t in some for t in texts) / n
    assert abs(share([""]) - 0.10) < 0.015
    assert abs(share(["短", "长"]) - 0.9 * 0.30) < 0.03
    assert abs(share(["s", "短"]) - 0.9 * 0.05) < 0.03


def test_equal_seeds_and_steps_give_equal_batches(tmp_path):
    latents = shards(tmp_path)
    a, b, c = (Batch(rng_for(s, 7), latents, Words(), 200, False) for s in (1, 1, 2))
    assert torch.equal(a.x0, b.x0) and torch.equal(a.noise, b.noise) and torch.equal(a.t, b.t)
    assert a.noise.shape != c.noise.shape or not torch.equal(a.noise, c.noise)


def test_known_frames_carry_no_loss():
    class Text:
        def __call__(self, ids):
            return ids, ids != 0
    b = type("B", (), {})()
    b.x0, b.noise = torch.randn(2, 3, 4, 2, 2), torch.randn(2, 3, 4, 2, 2)
    b.t, b.ids = torch.tensor([[0, .5, .5, .5], [.3, .3, 0, 0]]), torch.ones(2, 1)
    seen = {}
    def network(x, t, rows, real):
        seen["x"], seen["t"] = x, t
        return torch.zeros_like(x)
    loss = flow_loss(Text(), network, b)
    v = (b.noise - b.x0).square().mean((1, 3, 4))
    assert torch.isclose(loss, v[b.t > 0].mean())
    assert torch.equal(seen["x"][0, :, 0], b.x0[0, :, 0]) and torch.equal(seen["t"], b.t * 1000)


def test_the_network_begins_with_gates_of_three_tenths_and_a_silent_output():
    m = DiT({**CONFIG, "num_layers": 1})
    _, mod = m.condition_embedder.time(torch.rand(1, 2) * 1000)
    assert torch.allclose(mod[:, :, [2, 5]], torch.tensor(0.3)) and mod[:, :, [0, 1, 3, 4]].abs().max() == 0
    assert m.proj_out.weight.abs().max() == 0


def test_one_step_of_muon_and_one_of_adam():
    torch.manual_seed(1)
    m = torch.nn.Linear(24, 40)
    opt, w, b = Optimiser(m, lambda n, p: p.ndim == 2), m.weight.detach().clone(), m.bias.detach().clone()
    m.weight.grad, m.bias.grad = torch.randn(40, 24) * 1e-3, torch.randn(40) * 1e-3
    u, _, v = torch.linalg.svd(m.weight.grad, full_matrices=False)
    sign = m.bias.grad.sign()
    opt.step(1e-2, 0)
    step = (w * (1 - 1e-2 * 0.01) - m.weight.detach()) / (1e-2 * 0.2 * 40 ** 0.5)
    s = torch.linalg.svdvals(step)
    assert 0.5 < s.min() and s.max() < 1.3 and ((u @ v) * step).sum() / step.norm() / (u @ v).norm() > 0.95
    assert torch.allclose(b - m.bias.detach(), 1e-2 * sign, rtol=1e-3)


def test_long_gradients_are_clipped_to_one():
    m = torch.nn.Linear(3, 2)
    opt = Optimiser(m, lambda n, p: False)
    m.weight.grad, m.bias.grad = torch.full((2, 3), 10.0), torch.zeros(2)
    assert opt.step(0.0, 0) == pytest.approx(10 * 6 ** 0.5)
    assert opt.state["m.weight"].norm() == pytest.approx(0.1, rel=1e-4)


def test_warm_up_constant_and_decay_on_demand(tmp_path):
    control = tmp_path / "control"
    s = Schedule(1.0, 100, 1000, 0.4, str(control))
    assert s.rate(0, 0) == 0.01 and s.rate(99, 5) == 1 and s.rate(500, 600) == 1
    assert s.rate(500, 800) == pytest.approx(0.5) and s.rate(500, 1000) == 0.02 and s.over(1000) and not s.over(999)
    control.write_text("decay 100")
    s.poll(200)
    assert s.rate(500, 250) == 0.5 and s.over(300) and not control.exists()
    control.write_text("stop")
    s.poll(210)
    assert s.over(210)


def test_moving_average_trusts_early_weights_less():
    values, live = {"w": torch.zeros(1)}, {"w": torch.ones(1)}
    average(values, live, 0.998, 0)
    assert values["w"] == 1
    average(values, {"w": torch.zeros(1)}, 0.998, 10 ** 6)
    assert values["w"] == pytest.approx(0.998)


def test_four_levels_and_three_steps_within_each():
    assert np.allclose(sigmas(), [1, 6 / 7, 2 / 3, 0.4, 0]) and (STEPS, SUBSTEPS) == (4, 3)
    free = torch.tensor([[1.0, 0.0]])
    x = walk(torch.zeros(1, 1, 2, 1, 1), [1, .5, 0], lambda x, t: torch.ones_like(x), free)
    assert x.flatten().tolist() == [-1, 0]


def test_sizes_are_those_of_the_plan():
    for size, dim, layers in (("S", 192, 8), ("SM", 256, 8), ("M", 320, 10)):
        c = train_dit.sized(size, 48)
        assert (c["num_attention_heads"] * c["attention_head_dim"], c["num_layers"]) == (dim, layers)
