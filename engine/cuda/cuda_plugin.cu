#include "engine/cuda/cuda_plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cuda/cuda_attention.h"
#include "engine/cuda/cuda_blas.h"
#include "engine/cuda/cuda_conv.h"
#include "engine/cuda/cuda_element.h"
#include "engine/cuda/cuda_flash.h"
#include "engine/cuda/cuda_flash_hopper.h"
#include "engine/cuda/cuda_linear.h"
#include "engine/cuda/cuda_own.h"
#include "engine/cuda/cuda_row.h"
#include "engine/cuda/cuda_volume.h"

enum { CAPABILITY_MAJOR_MIN = 8 }; /* tensor cores for bf16, copies past the registers */

void cuda_note(struct cuda *c, cudaError_t e, const char *what) {
    if (e == cudaSuccess || c->error != cudaSuccess) return;
    c->error = e;
    c->error_at = what;
}

static double mib(size_t bytes) {
    return (double)bytes / (1 << 20);
}

enum err cuda_short(struct cuda *c, size_t bytes, struct fail *f) {
    size_t left = 0, total = 0;
    if (c->error != cudaSuccess) return cuda_check(c, f);
    if (cudaMemGetInfo(&left, &total) != cudaSuccess) (void)cudaGetLastError();
    return FAIL(f, ERR_NOMEM, "%.0f MiB more are needed on cuda:%d, %.0f of %.0f MiB are free",
                mib(bytes), c->index, mib(left), mib(total));
}

enum err cuda_check(struct cuda *c, struct fail *f) {
    switch (c->error) {
    case cudaSuccess: return ERR_OK;
    case cudaErrorMemoryAllocation:
        return FAIL(f, ERR_NOMEM, "cuda:%d has no memory left for %s", c->index, c->error_at);
    case cudaErrorInvalidValue:
    case cudaErrorInvalidConfiguration:
        return FAIL(f, ERR_BUG, "cuda:%d: %s: %s", c->index, c->error_at,
                    cudaGetErrorString(c->error));
    default:
        return FAIL(f, ERR_UNAVAILABLE, "cuda:%d is lost: %s: %s", c->index, c->error_at,
                    cudaGetErrorString(c->error));
    }
}

void cuda_say_plain(struct cuda *c, const char *text) {
    if (c->has_said_plain || !c->dev->say) return;
    c->has_said_plain = true;
    c->dev->say(c->dev->say_ctx, "cuda.plain", text);
}

void *cuda_take(struct cuda *c, enum cuda_scratch which, size_t bytes) {
    if (bytes <= c->scratch_bytes[which]) return c->scratch[which];
    if (c->error != cudaSuccess) return NULL;
    /* What is under way may still read the old one. */
    cuda_note(c, cudaStreamSynchronize(c->stream), "growing");
    cuda_note(c, cudaFree(c->scratch[which]), "growing");
    c->scratch[which] = NULL;
    c->scratch_bytes[which] = 0;
    if (cudaMalloc(&c->scratch[which], bytes) != cudaSuccess) {
        (void)cudaGetLastError();
        c->scratch[which] = NULL;
        return NULL;
    }
    c->dev->n_allocs++;
    c->scratch_bytes[which] = bytes;
    return c->scratch[which];
}

static void close_all(struct device *dev) {
    struct cuda *c = cuda_of(dev);
    if (!c) return;
    if (c->stream) (void)cudaStreamSynchronize(c->stream);
    cuda_blas_close(c);
    for (int i = 0; i < CUDA_SCRATCH_COUNT; i++)
        if (c->scratch[i]) (void)cudaFree(c->scratch[i]);
    for (int i = 0; i < CUDA_PINNED_SLOTS; i++) {
        if (c->is_free[i]) (void)cudaEventDestroy(c->is_free[i]);
        if (c->pinned[i]) (void)cudaFreeHost(c->pinned[i]);
    }
    if (c->stream) (void)cudaStreamDestroy(c->stream);
    free(c);
    dev->self = NULL;
}

/* There is such a device, and it is new enough. */
static enum err find_device(struct cuda *c, struct fail *f) {
    int n = 0;
    cudaError_t e = cudaGetDeviceCount(&n);
    if (e != cudaSuccess)
        return FAIL(f, ERR_UNAVAILABLE, "cuda:%d: %s", c->index, cudaGetErrorString(e));
    if (c->index < 0 || c->index >= n)
        return FAIL(f, ERR_INPUT, "there is no cuda:%d; this machine has %d", c->index, n);
    e = cudaSetDevice(c->index);
    if (e == cudaSuccess) e = cudaGetDeviceProperties(&c->props, c->index);
    if (e != cudaSuccess)
        return FAIL(f, ERR_UNAVAILABLE, "cuda:%d: %s", c->index, cudaGetErrorString(e));
    if (c->props.major < CAPABILITY_MAJOR_MIN)
        return FAIL(f, ERR_UNSUPPORTED, "cuda:%d (%s) has capability %d.%d, %d.0 is needed",
                    c->index, c->props.name, c->props.major, c->props.minor, CAPABILITY_MAJOR_MIN);
    return ERR_OK;
}

static enum err open_stream(struct cuda *c, struct fail *f) {
    cuda_note(c, cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "stream");
    for (int i = 0; i < CUDA_PINNED_SLOTS; i++) {
        cuda_note(c, cudaMallocHost((void **)&c->pinned[i], CUDA_PINNED_BYTES), "pinned memory");
        cuda_note(c, cudaEventCreateWithFlags(&c->is_free[i], cudaEventDisableTiming), "event");
        if (c->error == cudaSuccess)
            cuda_note(c, cudaEventRecord(c->is_free[i], c->stream), "event");
    }
    cuda_flash_open(c);
    cuda_flash_hopper_open(c);
    cuda_conv_open(c);
    return cuda_check(c, f);
}

static enum err open_all(struct device *dev, const struct device_opts *opts, struct fail *f) {
    struct cuda *c = (struct cuda *)calloc(1, sizeof *c);
    if (!c) return FAIL(f, ERR_NOMEM, "no memory for a device");
    dev->self = c;
    c->dev = dev;
    c->index = opts->index;
    enum err rc = ERR_OK;
    if (opts->precision == PRECISION_INT8)
        rc = FAIL(f, ERR_UNSUPPORTED, "cuda has no int8 products; bf16 and f32 exist");
    dev->precision = opts->precision == PRECISION_F32 ? PRECISION_F32 : PRECISION_BF16;
    if (rc == ERR_OK) rc = find_device(c, f);
    if (rc == ERR_OK) rc = open_stream(c, f);
    if (rc == ERR_OK) rc = cuda_blas_open(c, f);
    if (rc != ERR_OK) close_all(dev);
    return rc;
}

static void *alloc(struct device *dev, size_t bytes) {
    struct cuda *c = cuda_of(dev);
    void *p = NULL;
    if (c->error == cudaSuccess && cudaMalloc(&p, bytes ? bytes : 1) == cudaSuccess) return p;
    (void)cudaGetLastError(); /* the caller knows */
    return NULL;
}

static void release(struct device *dev, void *p) {
    struct cuda *c = cuda_of(dev);
    cuda_note(c, cudaStreamSynchronize(c->stream), "release");
    cuda_note(c, cudaFree(p), "release");
}

static size_t part_of(size_t bytes) {
    return bytes < CUDA_PINNED_BYTES ? bytes : (size_t)CUDA_PINNED_BYTES;
}

/* Through pinned memory, one half filled while the other one travels: the caller's memory is his
 * again when this returns. */
static void upload(struct device *dev, void *to, const void *host, size_t bytes) {
    struct cuda *c = cuda_of(dev);
    for (size_t at = 0, i = 0; at < bytes && c->error == cudaSuccess; i ^= 1) {
        size_t n = part_of(bytes - at);
        cuda_note(c, cudaEventSynchronize(c->is_free[i]), "upload");
        memcpy(c->pinned[i], (const char *)host + at, n);
        cuda_note(
            c, cudaMemcpyAsync((char *)to + at, c->pinned[i], n, cudaMemcpyHostToDevice, c->stream),
            "upload");
        cuda_note(c, cudaEventRecord(c->is_free[i], c->stream), "upload");
        at += n;
    }
}

/* Asks for one part of a download. */
static void fetch(struct cuda *c, size_t i, const char *from, size_t n) {
    cuda_note(c, cudaMemcpyAsync(c->pinned[i], from, n, cudaMemcpyDeviceToHost, c->stream),
              "download");
    cuda_note(c, cudaEventRecord(c->is_free[i], c->stream), "download");
}

/* What cannot be read becomes NaN, so that nobody takes old bytes for numbers. */
static void download(struct device *dev, void *host, const void *from, size_t bytes) {
    struct cuda *c = cuda_of(dev);
    size_t at = 0, asked = part_of(bytes);
    /* The slots may still be read by uploads. */
    for (int i = 0; i < CUDA_PINNED_SLOTS; i++)
        cuda_note(c, cudaEventSynchronize(c->is_free[i]), "download");
    if (bytes > 0 && c->error == cudaSuccess) fetch(c, 0, (const char *)from, asked);
    for (size_t i = 0; at < bytes && c->error == cudaSuccess; i ^= 1) {
        size_t n = part_of(bytes - at), next = part_of(bytes - asked);
        if (next > 0) fetch(c, i ^ 1, (const char *)from + asked, next);
        asked += next;
        cuda_note(c, cudaEventSynchronize(c->is_free[i]), "download");
        if (c->error == cudaSuccess) memcpy((char *)host + at, c->pinned[i], n);
        at += n;
    }
    if (c->error != cudaSuccess) memset(host, 0xff, bytes);
}

static void copy(struct device *dev, void *to, const void *from, size_t bytes) {
    struct cuda *c = cuda_of(dev);
    if (bytes == 0) return;
    cuda_note(c, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, c->stream), "copy");
}

static void report(struct device *dev, char *out, size_t size) {
    const struct cuda *c = cuda_of(dev);
    snprintf(out, size, "cuda:%d: %s, %d.%d, %.0f MiB, %s", c->index, c->props.name, c->props.major,
             c->props.minor, mib(c->props.totalGlobalMem),
             dev->precision == PRECISION_F32 ? "f32" : "bf16");
}

static enum err check(struct device *dev, struct fail *f) {
    return cuda_check(cuda_of(dev), f);
}

static double free_bytes(struct device *dev) {
    size_t left = 0, total = 0;
    if (cuda_of(dev)->error != cudaSuccess) return 0;
    if (cudaMemGetInfo(&left, &total) != cudaSuccess) (void)cudaGetLastError();
    return (double)left;
}

/* bf16 rows; channels of convolutions are filled up to whole vectors. Nothing changes in f32. */
static size_t packed(struct device *dev, struct tensor *w) {
    bool is_half = dev->precision != PRECISION_F32;
    int64_t C = tensor_n_cols(w), wide = is_half && w->n_dims == 5 ? cuda_conv_channels(C) : C;
    w->dtype = is_half ? DTYPE_BF16 : DTYPE_F32;
    w->layout = is_half ? LAYOUT_PACKED : LAYOUT_ROWS;
    return (size_t)(tensor_n_rows(w) * wide) * tensor_dtype_bytes(w->dtype);
}

static void pack(struct device *dev, struct tensor *w, const float *rows, int64_t first,
                 int64_t n) {
    struct cuda *c = cuda_of(dev);
    int64_t C = tensor_n_cols(w), wide = w->n_dims == 5 ? cuda_conv_channels(C) : C;
    int64_t per_row = w->dim[0] ? tensor_n_rows(w) / w->dim[0] : 0;
    size_t bytes = (size_t)(n * per_row * C) * sizeof(float);
    if (bytes == 0) return;
    if (w->dtype == DTYPE_F32) {
        upload(dev, (float *)w->data + first * per_row * C, rows, bytes);
        return;
    }
    void *on_device = cuda_take(c, CUDA_SCRATCH_W, bytes);
    if (!on_device) {
        cuda_note(c, cudaErrorMemoryAllocation, "a weight");
        return;
    }
    upload(dev, on_device, rows, bytes);
    cuda_convert(c, (struct bf16 *)w->data + first * per_row * wide, DTYPE_BF16, on_device,
                 DTYPE_F32, n * per_row, C, wide);
}

/* C++ has no initialisers by name for all compilers that nvcc uses: filled in when loaded. */
static struct backend_ops table() {
    struct backend_ops t = {};
    t.name = "cuda";
    t.open = open_all;
    t.close = close_all;
    t.alloc = alloc;
    t.release = release;
    t.upload = upload;
    t.download = download;
    t.copy = copy;
    t.report = report;
    t.check = check;
    t.free_bytes = free_bytes;
    t.fill = cuda_element_fill;
    t.linear = cuda_linear_run;
    t.packed = packed;
    t.pack = pack;
    t.attention = cuda_attention_run;
    t.norm = cuda_row_norm;
    t.norm_mod = cuda_row_norm_mod;
    t.gate_add = cuda_row_gate_add;
    t.rope = cuda_row_rope;
    t.act = cuda_element_act;
    t.add_scaled = cuda_element_add_scaled;
    t.mul = cuda_element_mul;
    t.affine = cuda_element_affine;
    t.conv = cuda_conv_run;
    t.depthwise = cuda_volume_depthwise;
    t.time_split = cuda_volume_time_split;
    t.dup_up_add = cuda_volume_dup_up_add;
    t.avg_down_add = cuda_volume_avg_down_add;
    t.patchify = cuda_volume_patchify;
    t.unpatchify = cuda_volume_unpatchify;
    t.pack_rgb = cuda_element_pack_rgb;
    return t;
}

static const struct backend_ops ops = table();

const struct cuda_plugin cuda_plugin = {sizeof(struct backend_ops), sizeof(struct device),
                                        sizeof(struct tensor), sizeof(struct device_opts), &ops};
