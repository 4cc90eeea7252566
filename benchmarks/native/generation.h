/* What the mock engine generates for a chat or a completion, byte for byte as tools/mock_engine does. */
#ifndef GENERATION_H
#define GENERATION_H

#include <stdbool.h>

#include "buffer.h"

enum { MODEL_SIZE = 64 };

/* Where a request does not say otherwise: the fields of `POST /mock`. */
struct behaviour {
    const char *model;
    double ttft_s, interval_s;
    long tokens, events_per_write; /* the latter for streams without an interval */
};

struct generation {
    char model[MODEL_SIZE]; /* "" where the request names none */
    bool chat, stream, include_usage, probe, cut; /* cut: max_tokens ends it */
    long number, tokens, prompt_tokens;
    double ttft_s, interval_s;
    struct buffer event; /* an event in which the token is to be filled in */
    size_t token_at;
};

/* Parse a request's body; false when it is not an object of JSON. */
bool generation_parse(const struct buffer *body, bool chat, const struct behaviour *behaviour,
                      struct generation *generation);
/* Append a whole response that is not streamed. */
void generation_answer(const struct generation *generation, struct buffer *out);
/* Append the head of a stream; its first event; that of a token, counted from 0; and its end. They return how many
 * events they have appended. */
void generation_stream_head(struct buffer *out);
int generation_begin(struct generation *generation, struct buffer *out);
int generation_token(struct generation *generation, long token, struct buffer *out);
int generation_end(const struct generation *generation, struct buffer *out);
void generation_free(struct generation *generation);
/* Append a response that is not a generation's. */
void respond(struct buffer *out, const char *status, const char *content_type, const struct buffer *body);

#endif
