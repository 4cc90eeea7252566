#include "endpoints.h"

#include <string.h>

#include "json.h"

static void respond_json(struct buffer *out, const char *status, struct buffer *body) {
    respond(out, status, "application/json", body);
    buffer_free(body);
}

static void error(struct buffer *out, const char *status, const char *message, const char *model, const char *end) {
    struct buffer body = {0};
    buffer_print(&body, "{\"error\":{\"message\":\"%s%s%s}}", message, model, end);
    respond_json(out, status, &body);
}

void bad_request(struct buffer *out) {
    error(out, "400 Bad Request", "mock engine: the body must be a JSON object", "",
          "\",\"type\":\"BadRequestError\",\"param\":null,\"code\":400");
}

void unknown_model(struct buffer *out, const char *model) {
    error(out, "404 Not Found", "The model `", model,
          "` does not exist.\",\"type\":\"NotFoundError\",\"param\":\"model\",\"code\":404");
}

static void print_counters(struct buffer *body, const struct counters *counters) {
    buffer_print(body, "\"requests\":%ld,\"running\":%ld,\"finished\":%ld,\"cancelled\":%ld,\"faulted\":0,"
                 "\"tokens_sent\":%ld,\"events_sent\":%ld", counters->requests, counters->running, counters->finished,
                 counters->cancelled, counters->tokens_sent, counters->events_sent);
}

static void show_statistics(struct buffer *out, const struct statistics *statistics) {
    struct buffer body = {0};
    buffer_append(&body, "{", 1);
    print_counters(&body, &statistics->work);
    buffer_print(&body, ",\"probes\":{");
    print_counters(&body, &statistics->probes);
    buffer_print(&body, "}}");
    respond_json(out, "200 OK", &body);
}

struct change { struct behaviour behaviour; bool valid; };

static void read_change(void *context, const struct json_value *value) {
    struct change *change = context;
    double number = json_number(value);
    if (value->string || number < 0) change->valid = false;
    else if (!strcmp(value->path, "ttft_s")) change->behaviour.ttft_s = number;
    else if (!strcmp(value->path, "interval_s")) change->behaviour.interval_s = number;
    else if (!strcmp(value->path, "tokens")) change->behaviour.tokens = (long)number;
    else if (!strcmp(value->path, "events_per_write") && number >= 1) change->behaviour.events_per_write = (long)number;
    else change->valid = false;
}

static void show_models(struct buffer *out, const struct behaviour *behaviour) {
    struct buffer body = {0};
    buffer_print(&body, "{\"object\":\"list\",\"data\":[{\"id\":\"%s\",\"object\":\"model\",\"created\":1700000000,"
                 "\"owned_by\":\"vllm\",\"root\":\"%s\",\"parent\":null,\"max_model_len\":8192,\"permission\":[]}]}",
                 behaviour->model, behaviour->model);
    respond_json(out, "200 OK", &body);
}

/* The load, and counters of the progress, as vLLM names them. */
static void show_metrics(struct buffer *out, const struct behaviour *behaviour, const struct statistics *statistics) {
    struct buffer body = {0};
    long tokens = statistics->work.tokens_sent + statistics->probes.tokens_sent;
    const struct { const char *name, *kind; double value; } metrics[] = {
        {"vllm:num_requests_running", "gauge", (double)(statistics->work.running + statistics->probes.running)},
        {"vllm:num_requests_waiting", "gauge", 0},
        {"vllm:kv_cache_usage_perc", "gauge", 0},
        {"vllm:iteration_tokens_total_count", "untyped", (double)tokens},
        {"vllm:generation_tokens_total", "counter", (double)tokens},
        {"vllm:num_preemptions_total", "counter", 0},
    };
    for (size_t index = 0; index < sizeof metrics / sizeof *metrics; index++)
        buffer_print(&body, "# TYPE %s %s\n%s{engine=\"0\",model_name=\"%s\"} %.1f\n", metrics[index].name,
                     metrics[index].kind, metrics[index].name, behaviour->model, metrics[index].value);
    respond(out, "200 OK", "text/plain; version=0.0.4; charset=utf-8", &body);
    buffer_free(&body);
}

void respond_to_endpoint(struct buffer *out, const struct head *head, const struct buffer *body,
                         struct behaviour *behaviour, struct statistics *statistics) {
    const char *path = head->path;
    bool get = !strcmp(head->method, "GET"), post = !strcmp(head->method, "POST");
    if (get && !strcmp(path, "/health")) respond_json(out, "200 OK", &(struct buffer){0});
    else if (get && !strcmp(path, "/v1/models")) show_models(out, behaviour);
    else if (get && !strcmp(path, "/metrics")) show_metrics(out, behaviour, statistics);
    else if (get && !strcmp(path, "/mock")) show_statistics(out, statistics);
    else if (post && !strcmp(path, "/mock")) {
        struct change change = {*behaviour, true};
        if (json_read(body->data, body->size, read_change, &change) && change.valid) {
            *behaviour = change.behaviour;
            show_statistics(out, statistics);
        } else {
            bad_request(out);
        }
    } else {
        struct buffer detail = {0};
        buffer_print(&detail, "{\"detail\":\"Not Found\"}");
        respond_json(out, "404 Not Found", &detail);
    }
}
