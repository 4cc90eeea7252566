/* The mock engine's endpoints that generate nothing, and its errors. */
#ifndef ENDPOINTS_H
#define ENDPOINTS_H

#include "buffer.h"
#include "generation.h"
#include "http.h"

struct counters { long requests, running, finished, cancelled, tokens_sent, events_sent; };

/* Requests for one token, as a gateway's probes are, are counted apart. */
struct statistics { struct counters work, probes; };

void respond_to_endpoint(struct buffer *out, const struct head *head, const struct buffer *body,
                         struct behaviour *behaviour, struct statistics *statistics);
void bad_request(struct buffer *out);
void unknown_model(struct buffer *out, const char *model);

#endif
