/* limits.h - every cap of the tree on one page.
 *
 * A limit that belongs to one module only may live beside it; what two parts must agree on, or an
 * operator asks about, is here. Sizes in bytes unless the name says otherwise. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

enum {
    LIMIT_PROMPT_CHARS = 32000,                  /* code points, as the OpenAI API */
    LIMIT_PROMPT_BYTES = 4 * LIMIT_PROMPT_CHARS,
    LIMIT_SPEC_BYTES = 192 * 1024, /* canonical request; a full prompt in UTF-8 fits */
    LIMIT_JSON_BODY_BYTES = 64 * 1024,           /* text outside data URLs */
    LIMIT_MEDIA_BODY_BYTES = 28 * 1024 * 1024,   /* JSON bodies on routes that take data URLs */
    LIMIT_DATA_URL_CHARS = 20971520,
    LIMIT_IMAGE_BYTES = 32 * 1024 * 1024,        /* multipart body with an image */
    LIMIT_VIDEO_BYTES = 512 * 1024 * 1024,       /* multipart body with a video */
    LIMIT_JSON_DEPTH = 32,
    LIMIT_MULTIPART_PARTS = 64,
    LIMIT_PART_HEADER_BYTES = 8 * 1024,
    LIMIT_METADATA_PAIRS = 16,
    LIMIT_METADATA_KEY_CHARS = 64,
    LIMIT_METADATA_VALUE_CHARS = 512,
    LIMIT_URL_BYTES = 2048,
    LIMIT_IDEMPOTENCY_KEY_CHARS = 255,
    LIMIT_LIST_ROWS = 100,
    LIMIT_SIDE_MIN_PX = 64,
    LIMIT_SIDE_MAX_PX = 1920,
    LIMIT_PIXELS_MAX = 1920 * 1088,
    LIMIT_SECONDS_MAX = 60,
    LIMIT_STITCHED_SECONDS = 120,                /* a clip with all that was added to it */
    LIMIT_FPS_MAX = 60,
    LIMIT_STEPS_MAX = 200,
    LIMIT_FRAMES_MAX = 1 + 60 * 60,
    LIMIT_GUIDANCE_MAX = 20,
    LIMIT_WEBHOOK_EVENTS = 8,
    LIMIT_WEBHOOK_REPLY_BYTES = 16 * 1024,
    LIMIT_WAIT_SECONDS = 60,                     /* long poll */
    LIMIT_SSE_PER_KEY = 20,
    LIMIT_RETRY_AFTER_SECONDS = 60,              /* the SDKs ignore more */
    LIMIT_REDIS_CALL_MS = 2000,
    LIMIT_CONFIG_FILE_BYTES = 1024 * 1024,
    LIMIT_ASSET_EXPIRY_SECONDS = 86400
};

#endif
