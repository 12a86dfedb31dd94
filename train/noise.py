"""The noise of engine/rng.c: Philox 4x32-10 and Box-Muller, so that Python and C can start from the same latents."""
import numpy as np
import torch

STREAM_LATENT = 1


def philox(seed, stream, index):
    """[n,4] u32 for an array of indices; rng_block() of engine/rng.c."""
    index = np.asarray(index, np.uint64)
    low = np.uint64(0xFFFFFFFF)
    c = [index & low, index >> np.uint64(32), np.full_like(index, stream & 0xFFFFFFFF),
         np.full_like(index, stream >> 32)]
    k = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(b >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]), b & low,
             (a >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]), a & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def normals(seed, stream, n):
    b = philox(seed, stream, np.arange((n + 1) // 2))
    unit = lambda hi, lo: (((hi << np.uint64(21)) ^ (lo >> np.uint64(11))).astype(np.float64) + 0.5) * 2.0 ** -53
    radius, angle = np.sqrt(-2 * np.log(unit(b[0], b[1]))), 2 * np.pi * unit(b[2], b[3])
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return torch.from_numpy(pairs.astype(np.float32).reshape(-1)[:n])
