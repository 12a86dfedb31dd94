/* The two documents that travel through Redis come back as they were written. */
#include "common/job.h"

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/receipt.h"
#include "tests/lib/check.h"

static const char *keep(struct job *job, const char *text) {
    const char *kept = job_keep(job, text, strlen(text));
    CHECK(kept != NULL);
    return kept ? kept : "";
}

static void fill(struct job *job) {
    job_make(job);
    job->model = keep(job, "misora-tiny");
    job->asked_model = keep(job, "sora-2");
    job->prompt = keep(job, "a \"red\" ball\n\xE8\x8A\xB1 %n");
    job->negative_prompt = keep(job, "blur");
    job->width = 640;
    job->height = 400;
    job->seconds = 5;
    job->fps = 16;
    job->num_frames = 81;
    job->steps = 20;
    job->guidance_scale = 4.5;
    job->has_seed = true;
    job->seed = 4294967295u;
    job->priority = JOB_HIGH;
    memset(job->input_reference.sha256, 'a', 64);
    CHECK(str_copy(job->input_reference.type, sizeof(job->input_reference.type),
                   str_of("image/png")));
    job->input_reference.n_bytes = 1234;
    job->webhook_url = keep(job, "https://example.com/h");
    job->upload_url = keep(job, "https://example.com/put?sig=1");
    job->webhook_events[job->n_webhook_events++] = keep(job, "completed");
    job->metadata[job->n_metadata++] = (struct job_pair){keep(job, "a\"]"), keep(job, "\\")};
    job->metadata[job->n_metadata++] = (struct job_pair){keep(job, "__proto__"), keep(job, "")};
    job->deadline_seconds = 90;
    job->crf = 20;
    job->operation = JOB_EDIT;
    struct job_asset *v = &job->task.video;
    memset(v->sha256, 'b', 64);
    CHECK(str_copy(v->type, sizeof(v->type), str_of("video/mp4")));
    CHECK(str_copy(v->video_id, sizeof(v->video_id), str_of("video_1")));
    CHECK(str_copy(v->key, sizeof(v->key), str_of("t/video_1/1-0.mp4")));
    v->n_bytes = 99;
    v->width = 64;
    v->height = 48;
    v->n_frames = 33;
    v->fps = 12.5;
    job->task.method = JOB_FLOWEDIT;
    job->task.direction = JOB_BOTH;
    job->task.old_prompt = keep(job, "as it is");
    job->task.strength = 0.5;
    job->task.context_seconds = 1.5;
    job->task.from_seconds = 0.25;
    job->task.to_seconds = 2;
    job->task.is_bare = job->task.is_loop = true;
}

static void a_job_comes_back_byte_for_byte(void) {
    struct job in, out;
    struct buf one, two;
    struct fail f = {0};
    fill(&in);
    buf_make(&one, 2 * JOB_JSON_MAX);
    buf_make(&two, 2 * JOB_JSON_MAX);
    CHECK_INT(job_write(&in, &one, &f), ERR_OK);
    CHECK_INT(job_parse(&out, one.data, one.len, &f), ERR_OK);
    CHECK_INT(job_write(&out, &two, &f), ERR_OK);
    CHECK_STR(buf_str(&two), buf_str(&one));
    CHECK_STR(out.prompt, in.prompt);
    CHECK_STR(out.metadata[0].key, "a\"]");
    CHECK_INT(out.seed, 4294967295u);
    CHECK_INT(out.crf, 20);
    CHECK_INT(out.input_reference.n_bytes, 1234);
    CHECK_STR(out.task.video.key, "t/video_1/1-0.mp4");
    CHECK_INT(out.task.video.n_frames, 33);
    CHECK_NEAR(out.task.video.fps, 12.5, 0);
    CHECK_INT(out.task.direction, JOB_BOTH);
    CHECK_STR(out.task.old_prompt, "as it is");
    CHECK(out.task.is_bare && out.task.is_loop && !out.task.second_video.sha256[0]);
    job_free(&in);
    job_free(&out);
    buf_free(&one);
    buf_free(&two);
}

static void what_was_not_chosen_is_left_out_and_comes_back_as_the_default(void) {
    struct job in, out;
    struct buf json;
    struct fail f = {0};
    job_make(&in);
    in.model = in.asked_model = in.prompt = "x";
    buf_make(&json, JOB_JSON_MAX);
    CHECK_INT(job_write(&in, &json, &f), ERR_OK);
    CHECK_STR(buf_str(&json),
              "{\"operation\":\"create\",\"model\":\"x\",\"asked_model\":\"x\",\"prompt\":\"x\","
              "\"size\":\"720x1280\",\"seconds\":\"4\",\"priority\":\"normal\","
              "\"expires_after_seconds\":86400}");
    CHECK_INT(job_parse(&out, json.data, json.len, &f), ERR_OK);
    CHECK(!out.has_seed && out.fps == 0 && out.steps == 0 && out.guidance_scale < 0 && out.crf < 0);
    CHECK_STR(out.webhook_url, "");
    CHECK_STR(out.upload_url, "");
    job_free(&in);
    job_free(&out);
    buf_free(&json);
}

static void the_fingerprint_changes_with_every_field(void) {
    struct job job;
    char base[65], now[65];
    fill(&job);
    CHECK_INT(job_fingerprint(&job, base, NULL), ERR_OK);
    CHECK_INT(job_fingerprint(&job, now, NULL), ERR_OK);
    CHECK_STR(now, base);
#define CHANGE(assign, undo)                             \
    assign;                                              \
    CHECK_INT(job_fingerprint(&job, now, NULL), ERR_OK); \
    CHECK(strcmp(now, base) != 0);                       \
    undo
    CHANGE(job.width = 642, job.width = 640);
    CHANGE(job.seconds = 6, job.seconds = 5);
    CHANGE(job.has_seed = false, job.has_seed = true);
    CHANGE(job.prompt = "other", job.prompt = "a");
    CHANGE(job.n_metadata = 1, job.n_metadata = 2);
    CHANGE(job.input_reference.sha256[0] = 'b', job.input_reference.sha256[0] = 'a');
    CHANGE(job.task.video.sha256[0] = 'c', job.task.video.sha256[0] = 'b');
    CHANGE(job.task.direction = JOB_BACKWARD, job.task.direction = JOB_BOTH);
    CHANGE(job.task.method = JOB_SDEDIT, job.task.method = JOB_FLOWEDIT);
    CHANGE(job.task.strength = 0.25, job.task.strength = 0.5);
    CHANGE(job.task.to_seconds = 3, job.task.to_seconds = 2);
    CHANGE(job.task.is_bare = false, job.task.is_bare = true);
#undef CHANGE
    job_free(&job);
}

static const char *const corrupt[] = {
    "",
    "null",
    "[]",
    "{}",
    "{\"operation\":\"explode\"}",
    "{\"operation\":\"create\",\"size\":\"1280*720\",\"seconds\":\"4\",\"priority\":\"normal\"}",
    "{\"operation\":\"create\",\"size\":\"64x64\",\"seconds\":4,\"priority\":\"normal\"}",
    "{\"operation\":\"create\",\"size\":\"64x64\",\"seconds\":\"4\",\"priority\":\"urgent\"}",
    "{\"operation\":\"create\",\"size\":\"64x64\",\"seconds\":\"4\",\"priority\":\"low\",\"seed\":-"
    "1}",
    "{\"operation\":\"create\",\"size\":\"64x64\",\"seconds\":\"4\",\"priority\":\"low\","
    "\"metadata\":[]}",
    "{\"operation\":\"create\",\"size\":\"64x64\",\"seconds\":\"4\",\"priority\":\"low\","
    "\"metadata\":{\"a\":1}}",
    "{\"operation\":\"create\",\"size\":\"64x64\",\"seconds\":\"4\",\"priority\":\"low\","
    "\"input_reference\":{\"sha256\":\"../x\",\"type\":\"image/png\",\"bytes\":1}}",
};

static void text_that_is_not_ours_is_corrupt(void) {
    for (int i = 0; i < (int)(sizeof(corrupt) / sizeof(corrupt[0])); i++) {
        struct job job;
        struct fail f = {0};
        CHECK_INT(job_parse(&job, corrupt[i], strlen(corrupt[i]), &f), ERR_CORRUPT);
        CHECK_INT(f.code, ERR_CORRUPT);
        job_free(&job);
    }
}

static void every_failed_allocation_is_survived(void) {
    static const char json[] =
        "{\"operation\":\"create\",\"model\":\"m\",\"prompt\":\"p\",\"size\":\"64x64\","
        "\"seconds\":\"4\",\"priority\":\"low\",\"metadata\":{\"a\":\"b\"}}";
    for (int n = 1;; n++) {
        struct job job;
        struct fail f = {0};
        int64_t before = mem_alive();
        mem_fail_nth(n);
        enum err rc = job_parse(&job, json, strlen(json), &f);
        mem_fail_nth(0);
        job_free(&job);
        CHECK_INT(mem_alive(), before);
        if (rc == ERR_OK) break;
        CHECK(n < 100);
    }
}

static void a_receipt_comes_back_as_it_was(void) {
    struct receipt in = {.width = 640,
                         .height = 400,
                         .fps = 16,
                         .num_frames = 33,
                         .seed = 7,
                         .compute_ms = 1234,
                         .n_warnings = 1,
                         .warnings = {"frames \"rounded\""}};
    struct receipt out;
    struct buf json;
    struct fail f = {0};
    for (int i = 0; i < RECEIPT_VARIANT_COUNT - 1; i++) {
        struct receipt_object *o = &in.objects[i];
        snprintf(o->key, sizeof(o->key), "t/x/%d.mp4", i);
        memset(o->sha256, '0' + i, 64);
        snprintf(o->type, sizeof(o->type), "video/mp4");
        o->n_bytes = 1000 + i;
    }
    buf_make(&json, RECEIPT_JSON_MAX);
    CHECK_INT(receipt_write(&in, &json, &f), ERR_OK);
    CHECK_INT(receipt_parse(&out, json.data, json.len, &f), ERR_OK);
    CHECK(memcmp(&in, &out, sizeof(in)) == 0);
    CHECK_INT(receipt_parse(&out, "{\"thumbnail\":{}}", 16, &f), ERR_CORRUPT);
    CHECK_INT(receipt_parse(&out, json.data, json.len - 1, &f), ERR_CORRUPT);
    buf_free(&json);
}

static const struct test tests[] = {
    TEST(a_job_comes_back_byte_for_byte),
    TEST(what_was_not_chosen_is_left_out_and_comes_back_as_the_default),
    TEST(the_fingerprint_changes_with_every_field),
    TEST(text_that_is_not_ours_is_corrupt),
    TEST(every_failed_allocation_is_survived),
    TEST(a_receipt_comes_back_as_it_was),
};
TEST_MAIN(tests)
