/* fused.c - what PyTorch does in many passes over memory on a CPU, done in one: the element-wise parts
 * of a training step, forwards and backwards.
 *
 * train/fused.py compiles this file for the machine it runs on and holds every function to the torch
 * expression it stands for. bf16 is read and written, fp32 is computed. One thread; nothing is kept
 * between calls. A shape stands beside each array. */
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t bf16;

enum { BLOCK = 64, WIDTH_MAX = 4096 };

static inline float up(bf16 v) {
    uint32_t i = (uint32_t)v << 16;
    float f;
    memcpy(&f, &i, 4);
    return f;
}

static inline bf16 down(float f) {
    uint32_t i;
    memcpy(&i, &f, 4);
    return (bf16)((i + 0x7fff + (i >> 16 & 1)) >> 16);
}

static inline float sigmoid(float v) { return 1 / (1 + expf(-v)); }

/* -- the autoencoder ---------------------------------------------------------------------------- */

/* y = silu(x / rms over channels * gamma). x [B,C,S]; y [B,C,front+S], whose first `front` are zero:
 * the past that a causal convolution sees before the first frame. */
void fused_norm_silu(bf16 *y, const bf16 *x, const float *gamma, long B, long C, long S, long front) {
    float scale = sqrtf((float)C);
    for (long b = 0; b < B; b++) {
        const bf16 *xb = x + b * C * S;
        bf16 *yb = y + b * C * (front + S);
        for (long c = 0; c < C; c++)
            memset(yb + c * (front + S), 0, sizeof(bf16) * (size_t)front);
        for (long s = 0; s < S; s += BLOCK) {
            long n = S - s < BLOCK ? S - s : BLOCK;
            float sum[BLOCK] = {0}, inv[BLOCK];
            for (long c = 0; c < C; c++)
                for (long i = 0; i < n; i++) {
                    float v = up(xb[c * S + s + i]);
                    sum[i] += v * v;
                }
            for (long i = 0; i < n; i++)
                inv[i] = scale / sqrtf(fmaxf(sum[i], 1e-24f));
            for (long c = 0; c < C; c++)
                for (long i = 0; i < n; i++) {
                    float u = up(xb[c * S + s + i]) * inv[i] * gamma[c];
                    yb[c * (front + S) + front + s + i] = down(u * sigmoid(u));
                }
        }
    }
}

/* dx [B,C,S] from dy [B,C,front+S]; dgamma [C] is added to. */
void fused_norm_silu_back(bf16 *dx, float *dgamma, const bf16 *dy, const bf16 *x, const float *gamma,
                          long B, long C, long S, long front) {
    static _Thread_local float dn[WIDTH_MAX][BLOCK];
    float scale = sqrtf((float)C);
    for (long b = 0; b < B; b++) {
        const bf16 *xb = x + b * C * S, *dyb = dy + b * C * (front + S);
        for (long s = 0; s < S; s += BLOCK) {
            long n = S - s < BLOCK ? S - s : BLOCK;
            float sum[BLOCK] = {0}, dot[BLOCK] = {0}, q[BLOCK];
            for (long c = 0; c < C; c++)
                for (long i = 0; i < n; i++) {
                    float v = up(xb[c * S + s + i]);
                    sum[i] += v * v;
                }
            for (long i = 0; i < n; i++)
                q[i] = 1 / sqrtf(fmaxf(sum[i], 1e-24f));
            for (long c = 0; c < C; c++) {
                float g = 0;
                for (long i = 0; i < n; i++) {
                    float v = up(xb[c * S + s + i]), m = v * q[i] * scale, u = m * gamma[c];
                    float a = sigmoid(u);
                    float du = up(dyb[c * (front + S) + front + s + i]) * a * (1 + u * (1 - a));
                    g += du * m;
                    dn[c][i] = du * gamma[c];
                    dot[i] += dn[c][i] * v;
                }
                dgamma[c] += g;
            }
            for (long i = 0; i < n; i++)
                dot[i] *= q[i] * q[i];
            for (long c = 0; c < C; c++)
                for (long i = 0; i < n; i++)
                    dx[(b * C + c) * S + s + i] =
                        down(scale * q[i] * (dn[c][i] - up(xb[c * S + s + i]) * dot[i]));
        }
    }
}

/* One plane of the picture loss: e [H,W] and its derivative d [H,W]. */
static void loss_plane(double sums[4], float *d, const float *e, long H, long W, const float k[4]) {
    float l1 = 0, mse = 0, across = 0, along = 0;
    for (long i = 0; i < H * W; i++) {
        l1 += fabsf(e[i]);
        mse += e[i] * e[i];
        d[i] = k[0] * (float)((e[i] > 0) - (e[i] < 0)) + 2 * k[1] * e[i];
    }
    for (long y = 0; y < H; y++) {
        const float *r = e + y * W;
        float *p = d + y * W;
        for (long x = 0; x + 1 < W; x++) {
            float v = r[x + 1] - r[x];
            across += fabsf(v);
        }
        for (long x = 0; x + 1 < W; x++)
            p[x] -= k[2] * (float)((r[x + 1] > r[x]) - (r[x + 1] < r[x]));
        for (long x = 0; x + 1 < W; x++)
            p[x + 1] += k[2] * (float)((r[x + 1] > r[x]) - (r[x + 1] < r[x]));
        for (long x = 0; y + 1 < H && x < W; x++) {
            float v = r[x + W] - r[x], s = (float)((v > 0) - (v < 0));
            along += fabsf(v);
            p[x] -= k[3] * s;
            p[x + W] += k[3] * s;
        }
    }
    sums[0] += l1, sums[1] += mse, sums[2] += across, sums[3] += along;
}

/* sums[4]: of |e|, e^2, |e across|, |e along| with e = y - x; d: their derivative when each sum is
 * weighted by k[4]. y, x, d [planes,H,W]; y is bf16 or, with is_wide, fp32; H * W at most 2^16. */
void fused_loss(double *sums, float *d, const void *y, const float *x, long planes, long H, long W,
                const float *k, long is_wide) {
    static _Thread_local float e[1 << 16];
    for (long p = 0; p < planes; p++) {
        long at = p * H * W;
        for (long i = 0; i < H * W; i++)
            e[i] = (is_wide ? ((const float *)y)[at + i] : up(((const bf16 *)y)[at + i])) - x[at + i];
        loss_plane(sums, d + at, e, H, W, k);
    }
}

/* -- the transformer ---------------------------------------------------------------------------- */

struct moments {
    float mean, inv;
};

static struct moments moments_of(const float *x, long d, float eps) {
    float sum = 0, square = 0;
    for (long i = 0; i < d; i++)
        sum += x[i];
    float mean = sum / (float)d;
    for (long i = 0; i < d; i++)
        square += (x[i] - mean) * (x[i] - mean);
    return (struct moments){mean, 1 / sqrtf(square / (float)d + eps)};
}

/* y = layer_norm(x) * (1 + scale) + shift. x, y [G,R,d]; shift, scale [G,d]: one row per group. */
void fused_ln_mod(bf16 *y, const float *x, const float *shift, const float *scale, long G, long R, long d,
                  float eps) {
    for (long g = 0; g < G; g++)
        for (long r = 0; r < R; r++) {
            const float *a = shift + g * d, *m = scale + g * d, *row = x + (g * R + r) * d;
            struct moments q = moments_of(row, d, eps);
            bf16 *out = y + (g * R + r) * d;
            for (long i = 0; i < d; i++)
                out[i] = down((row[i] - q.mean) * q.inv * (1 + m[i]) + a[i]);
        }
}

/* dshift, dscale [G,d] start at zero. */
void fused_ln_mod_back(float *dx, float *dshift, float *dscale, const bf16 *dy, const float *x,
                       const float *scale, long G, long R, long d, float eps) {
    for (long g = 0; g < G; g++)
        for (long r = 0; r < R; r++) {
            long at = (g * R + r) * d;
            const float *m = scale + g * d, *row = x + at;
            const bf16 *gy = dy + at;
            float *da = dshift + g * d, *dm = dscale + g * d, *out = dx + at, mean = 0, dot = 0;
            struct moments q = moments_of(row, d, eps);
            for (long i = 0; i < d; i++) {
                float h = (row[i] - q.mean) * q.inv, v = up(gy[i]), w = v * (1 + m[i]);
                da[i] += v;
                dm[i] += v * h;
                mean += w;
                dot += w * h;
            }
            mean /= (float)d, dot /= (float)d;
            for (long i = 0; i < d; i++) {
                float h = (row[i] - q.mean) * q.inv;
                out[i] = q.inv * (up(gy[i]) * (1 + m[i]) - mean - h * dot);
            }
        }
}

/* y = x + v * gate. x, y [G,R,d] fp32, v bf16, gate [G,d]. */
void fused_gate(float *y, const float *x, const bf16 *v, const float *gate, long G, long R, long d) {
    for (long g = 0; g < G; g++)
        for (long r = 0; r < R; r++)
            for (long i = 0, at = (g * R + r) * d; i < d; i++)
                y[at + i] = x[at + i] + up(v[at + i]) * gate[g * d + i];
}

/* dv bf16 and dgate [G,d], which starts at zero. */
void fused_gate_back(bf16 *dv, float *dgate, const float *dy, const bf16 *v, const float *gate, long G,
                     long R, long d) {
    for (long g = 0; g < G; g++)
        for (long r = 0; r < R; r++)
            for (long i = 0, at = (g * R + r) * d; i < d; i++) {
                dv[at + i] = down(dy[at + i] * gate[g * d + i]);
                dgate[g * d + i] += dy[at + i] * up(v[at + i]);
            }
}

/* Queries or keys: RMS norm over the whole row, then each head turned by its place, then `size` times.
 * x [B,N,ld], of which d columns; y [B,H,N,d/H]; cos, sin [N,d/H/2] or NULL: no turning. */
void fused_heads(bf16 *y, const bf16 *x, const float *w, const float *cosine, const float *sine, long B,
                 long N, long H, long d, long ld, float eps, float size) {
    float u[WIDTH_MAX];
    long hd = d / H;
    for (long b = 0; b < B; b++)
        for (long n = 0; n < N; n++) {
            const bf16 *row = x + (b * N + n) * ld;
            float sum = 0;
            for (long i = 0; i < d; i++)
                sum += up(row[i]) * up(row[i]);
            float inv = size / sqrtf(sum / (float)d + eps);
            for (long i = 0; i < d; i++)
                u[i] = up(row[i]) * inv * w[i];
            for (long h = 0; h < H; h++) {
                bf16 *out = y + ((b * H + h) * N + n) * hd;
                const float *v = u + h * hd;
                if (!cosine)
                    for (long i = 0; i < hd; i++)
                        out[i] = down(v[i]);
                for (long i = 0; cosine && i < hd / 2; i++) {
                    float c = cosine[n * (hd / 2) + i], s = sine[n * (hd / 2) + i];
                    out[2 * i] = down(v[2 * i] * c - v[2 * i + 1] * s);
                    out[2 * i + 1] = down(v[2 * i] * s + v[2 * i + 1] * c);
                }
            }
        }
}

/* dx [B,N,ld] (d columns of it) and dw [d], which is added to. */
void fused_heads_back(bf16 *dx, float *dw, const bf16 *dy, const bf16 *x, const float *w, const float *cosine,
                      const float *sine, long B, long N, long H, long d, long ld, float eps, float size) {
    float u[WIDTH_MAX];
    long hd = d / H;
    for (long b = 0; b < B; b++)
        for (long n = 0; n < N; n++) {
            const bf16 *row = x + (b * N + n) * ld;
            bf16 *out = dx + (b * N + n) * ld;
            float sum = 0, dot = 0;
            for (long h = 0; h < H; h++) {
                const bf16 *g = dy + ((b * H + h) * N + n) * hd;
                float *v = u + h * hd;
                if (!cosine)
                    for (long i = 0; i < hd; i++)
                        v[i] = up(g[i]);
                for (long i = 0; cosine && i < hd / 2; i++) {
                    float c = cosine[n * (hd / 2) + i], s = sine[n * (hd / 2) + i];
                    v[2 * i] = up(g[2 * i]) * c + up(g[2 * i + 1]) * s;
                    v[2 * i + 1] = up(g[2 * i + 1]) * c - up(g[2 * i]) * s;
                }
            }
            for (long i = 0; i < d; i++)
                sum += up(row[i]) * up(row[i]);
            float q = 1 / sqrtf(sum / (float)d + eps);
            for (long i = 0; i < d; i++) {
                float h = up(row[i]) * q;
                dw[i] += u[i] * h * size;
                dot += u[i] * w[i] * h;
            }
            dot /= (float)d;
            for (long i = 0; i < d; i++)
                out[i] = down(size * q * (u[i] * w[i] - up(row[i]) * q * dot));
        }
}

/* Softmax of rows in place; s [B,R,M], mask [B,M] or NULL is added first. */
void fused_softmax(bf16 *s, const float *mask, long B, long R, long M) {
    float u[1 << 14];
    for (long b = 0; b < B; b++)
        for (long r = 0; r < R; r++) {
            bf16 *row = s + (b * R + r) * M;
            float top = -INFINITY, sum = 0;
            for (long i = 0; i < M; i++)
                u[i] = up(row[i]) + (mask ? mask[b * M + i] : 0);
            for (long i = 0; i < M; i++)
                top = u[i] > top ? u[i] : top;
            for (long i = 0; i < M; i++) {
                u[i] = expf(u[i] - top);
                sum += u[i];
            }
            float inv = 1 / sum;
            for (long i = 0; i < M; i++)
                row[i] = down(u[i] * inv);
        }
}

/* ds = p * (dp - sum of p * dp), in place of dp. [R,M] */
void fused_softmax_back(bf16 *dp, const bf16 *p, long R, long M) {
    for (long r = 0; r < R; r++) {
        bf16 *g = dp + r * M;
        const bf16 *q = p + r * M;
        float dot = 0;
        for (long i = 0; i < M; i++)
            dot += up(g[i]) * up(q[i]);
        for (long i = 0; i < M; i++)
            g[i] = down(up(q[i]) * (up(g[i]) - dot));
    }
}

/* GELU in its tanh form, the one of inference: x * sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)). */
static const float gelu_a = 1.5957691216f, gelu_b = 0.0713548162f;

void fused_gelu(bf16 *y, const bf16 *x, long n) {
    for (long i = 0; i < n; i++) {
        float v = up(x[i]);
        y[i] = down(v * sigmoid(v * (gelu_a + gelu_b * v * v)));
    }
}

void fused_gelu_back(bf16 *dx, const bf16 *dy, const bf16 *x, long n) {
    for (long i = 0; i < n; i++) {
        float v = up(x[i]), s = sigmoid(v * (gelu_a + gelu_b * v * v));
        dx[i] = down(up(dy[i]) * s * (1 + v * (1 - s) * (gelu_a + 3 * gelu_b * v * v)));
    }
}

/* Sums of columns, fp32: the gradient of a bias. x [R,d], sum [d] starts at zero. */
void fused_columns(float *sum, const bf16 *x, long R, long d) {
    for (long r = 0; r < R; r++)
        for (long i = 0; i < d; i++)
            sum[i] += up(x[r * d + i]);
}
