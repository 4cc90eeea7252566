/* Whether an answer of the mock engine has arrived complete and unchanged, whatever has relayed it. */
#ifndef ANSWER_H
#define ANSWER_H

#include <stdbool.h>

#include "buffer.h"

struct expectation { bool stream, usage; long tokens; };

struct answer {
    struct buffer text; /* a plain answer, or the begin of an event */
    long tokens;        /* events with a token */
    bool done, usage;
    const char *error;
};

/* Take a piece of the body. Returns how many token events it has completed. */
long answer_feed(struct answer *answer, const struct expectation *expected, const char *data, size_t size);
/* After the whole body: what is wrong with it, or NULL. */
const char *answer_check(struct answer *answer, const struct expectation *expected);
/* Make ready for the next one. */
void answer_reset(struct answer *answer);

#endif
