/* Bodies become jobs: JSON and forms give the same fields, and pictures are known by their bytes.
 * The rows of refusals are in tests/integration/test_bad_input.py. */
#include "server/operation.h"
#include "server/validate.h"

#include "common/base/mem.h"
#include "tests/lib/check.h"

static const struct models models = {
    .n_rows = 2, .rows = {{.id = "misora-tiny"}, {.id = "sora-2", .target = "misora-tiny"}}};
static const struct guard_rules hooks = {.allow_high_ports = true};
static const struct operation create = {.bit = OPERATION_CREATE,
                                        .needs = OPERATION_PROMPT,
                                        .seconds = 4,
                                        .has_size = true,
                                        .name = "create",
                                        .first_video = ""};
static const struct validate_rules rules = {.op = &create, .models = &models, .hooks = &hooks};

/* Runs a JSON body through both steps. */
static enum err run(struct validate_result *out, const char *json, struct problem *p) {
    struct body *b = mem_take(1, sizeof(*b));
    *out = (struct validate_result){0};
    enum err rc = body_open(b, &validate_schema, NULL, str_of("application/json"), 1 << 20, p);
    for (size_t i = 0; rc == ERR_OK && i < strlen(json); i++)
        rc = body_feed(b, json + i, 1, p);
    if (rc == ERR_OK) rc = body_close(b, p);
    if (rc == ERR_OK) rc = validate_create(out, b, &rules, p);
    body_free(b);
    mem_free(b);
    return rc;
}

static void a_prompt_alone_is_a_job_with_the_defaults(void) {
    struct validate_result r;
    struct problem p = {0};
    CHECK_INT(run(&r, "{\"prompt\":\"a cat\"}", &p), ERR_OK);
    CHECK_STR(r.job.prompt, "a cat");
    CHECK_STR(r.job.model, "misora-tiny");
    CHECK_INT(r.job.width, 720);
    CHECK_INT(r.job.height, 1280);
    CHECK_INT(r.job.seconds, 4);
    CHECK(!r.job.has_seed && !r.source[VALIDATE_FIRST_FRAME].is_given);
    job_free(&r.job);
}

static void aliases_lead_to_the_same_place(void) {
    struct validate_result r;
    struct problem p = {0};
    CHECK_INT(run(&r,
                  "{\"prompt\":\"a\",\"model\":\"sora-2\",\"num_inference_steps\":9,\"width\":128,"
                  "\"height\":96,\"callback_url\":\"https://example.com/h\",\"seconds\":8,"
                  "\"webhook_events_filter\":[\"video.completed\",\"completed\"],"
                  "\"service_tier\":\"flex\",\"extra_body\":{\"seed\":5},\"n\":1,\"user\":\"u\","
                  "\"quality\":{\"any\":\"thing\"}}",
                  &p),
              ERR_OK);
    CHECK_STR(p.text, "");
    CHECK_STR(r.job.model, "misora-tiny");
    CHECK_STR(r.job.asked_model, "sora-2");
    CHECK_INT(r.job.steps, 9);
    CHECK_INT(r.job.width, 128);
    CHECK_INT(r.job.seconds, 8);
    CHECK_INT(r.job.seed, 5);
    CHECK_INT(r.job.priority, JOB_LOW);
    CHECK_INT(r.job.n_webhook_events, 1);
    CHECK_STR(r.job.webhook_url, "https://example.com/h");
    job_free(&r.job);
}

static void null_is_the_same_as_absent(void) {
    struct validate_result r;
    struct problem p = {0};
    CHECK_INT(run(&r,
                  "{\"prompt\":\"a\",\"seed\":null,\"size\":null,\"model\":null,\"metadata\":null,"
                  "\"input_reference\":null,\"steps\":null,\"webhook_events\":[]}",
                  &p),
              ERR_OK);
    CHECK(!r.job.has_seed && r.job.n_metadata == 0 && !r.source[VALIDATE_FIRST_FRAME].is_given);
    job_free(&r.job);
}

static void metadata_is_sorted_and_keeps_odd_keys(void) {
    struct validate_result r;
    struct problem p = {0};
    CHECK_INT(
        run(&r, "{\"prompt\":\"a\",\"metadata\":{\"z\":\"1\",\"__proto__\":\"2\",\"a[b]\":\"3\"}}",
            &p),
        ERR_OK);
    CHECK_INT(r.job.n_metadata, 3);
    CHECK_STR(r.job.metadata[0].key, "__proto__");
    CHECK_STR(r.job.metadata[1].key, "a[b]");
    CHECK_STR(r.job.metadata[2].key, "z");
    job_free(&r.job);
}

static void a_long_prompt_is_counted_in_characters(void) {
    struct validate_result r;
    struct problem p = {0};
    static char json[3 * LIMIT_PROMPT_CHARS + 64];
    size_t n = (size_t)snprintf(json, sizeof(json), "{\"prompt\":\"");
    for (int i = 0; i < 20000; i++)
        n += (size_t)snprintf(json + n, sizeof(json) - n, "\xE8\x8A\xB1");
    snprintf(json + n, sizeof(json) - n, "\"}");
    CHECK_INT(run(&r, json, &p), ERR_OK);
    job_free(&r.job);
}

#define BYTES(text) text, sizeof(text) - 1
static const struct {
    const char *bytes;
    size_t n;
    const char *type;
    int width, height;
} pictures[] = {
    {BYTES("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\0\x80\b\2\0\0\0"), "image/png", 256, 128},
    {BYTES("\x89PNG\r\n\x1a\n"), "image/png", 0, 0},
    {BYTES("\xFF\xD8\xFF\xE0\0\4ab\xFF\xC0\0\x11\b\0\x40\0\x20\3xxxxx"), "image/jpeg", 32, 64},
    {BYTES("\xFF\xD8\xFF\xFF\xFF\xC2\0\x11\b\0\x40\0\x20\3xxxxx"), "image/jpeg", 32, 64},
    {BYTES("\xFF\xD8\xFF\xE0\0\0"), "image/jpeg", 0, 0},
    {BYTES("RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0\x1F\0\0\x0F\0\0"), "image/webp", 32, 16},
    {BYTES("RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2F\x1F\xC0\x03\0\0\0\0\0\0"), "image/webp", 32, 16},
    {BYTES("GIF89a"), NULL, 0, 0},
    {BYTES(""), NULL, 0, 0},
};

static void pictures_are_known_by_their_first_bytes(void) {
    for (int i = 0; i < (int)(sizeof(pictures) / sizeof(pictures[0])); i++) {
        struct sniff_image img;
        bool is = sniff_image(&img, (const unsigned char *)pictures[i].bytes, pictures[i].n);
        CHECK_INT(is, pictures[i].type != NULL);
        if (!is) continue;
        CHECK_STR(img.type, pictures[i].type);
        CHECK_INT(img.width, pictures[i].width);
        CHECK_INT(img.height, pictures[i].height);
    }
}

/* Every prefix of every picture is read within its bounds (the sanitizer watches). */
static void half_pictures_do_no_harm(void) {
    for (int i = 0; i < (int)(sizeof(pictures) / sizeof(pictures[0])); i++)
        for (size_t n = 0; n <= pictures[i].n; n++) {
            struct sniff_image img;
            unsigned char *copy = mem_take(1, n + 1);
            memcpy(copy, pictures[i].bytes, n);
            (void)sniff_image(&img, copy, n);
            (void)sniff_describe(copy, n);
            mem_free(copy);
        }
}

static void problems_carry_their_row(void) {
    struct problem p;
    CHECK_INT(problem_set(&p, PROBLEM_QUEUE_FULL, "x", "%s", "t"), ERR_INPUT);
    CHECK_INT(problem_row(p.kind)->status, 429);
    CHECK(problem_row(p.kind)->retry_after_s <= 60);
    char longer[600];
    memset(longer, 'a', sizeof(longer));
    memcpy(longer + 398, "\xE8\x8A\xB1", 3); /* cut inside a character */
    longer[sizeof(longer) - 1] = 0;
    (void)problem_set(&p, PROBLEM_INVALID_VALUE, "", "%s", longer);
    CHECK(str_is_utf8(str_of(p.text), NULL));
    struct fail f = {.code = ERR_CORRUPT, .text = "secret detail"};
    problem_from(&p, &f);
    CHECK_INT(problem_row(p.kind)->status, 500);
    CHECK(strstr(p.text, "secret") == NULL);
}

static const struct test tests[] = {
    TEST(a_prompt_alone_is_a_job_with_the_defaults),
    TEST(aliases_lead_to_the_same_place),
    TEST(null_is_the_same_as_absent),
    TEST(metadata_is_sorted_and_keeps_odd_keys),
    TEST(a_long_prompt_is_counted_in_characters),
    TEST(pictures_are_known_by_their_first_bytes),
    TEST(half_pictures_do_no_harm),
    TEST(problems_carry_their_row),
};
TEST_MAIN(tests)
