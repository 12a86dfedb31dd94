/* job_call.h - one exchange of `misora job` with a server, and what it reads of a Video. */
#ifndef TOOLS_JOB_CALL_H
#define TOOLS_JOB_CALL_H

#include "common/fetch.h"

enum { JOB_CALL_REPLY_MAX = 1024 * 1024, JOB_CALL_PATH_MAX = 1024 };

struct job_call {
    const char *server; /* http://host:port, without a slash at the end */
    const char *method; /* NULL: POST with a body, else GET */
    const char *path;   /* begins with '/' */
    const char *content_type;
    const char *body; /* or NULL */
    size_t n_body;
    const struct fetch_file *file; /* the body, when not NULL */
    int save_fd;                   /* > 0: where the bytes of the answer go */
};

/* The key comes from MISORA_API_KEY. A status that is not 2xx is ERR_CONFLICT (ERR_UNAVAILABLE from
 * 500 on) with the words of the server. The caller frees *reply in every case. */
MUST_CHECK enum err job_call_run(struct fetch_reply *reply, const struct job_call *c,
                                 struct fail *f);

struct job_call_video {
    char id[64], status[32], phase[32], code[64], message[512];
    int64_t progress, step, n_steps;
    double eta_s; /* below 0: not known */
    bool is_over;
};

MUST_CHECK enum err job_call_video(struct job_call_video *v, const struct fetch_reply *reply,
                                   struct fail *f);

#endif
