#include "generation.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "token.h"

/* Words are what spaces and escaped line ends separate. */
static long count_words(const char *text, size_t size) {
    long words = size > 0 && *text != ' ' && *text != '\\';
    if (size > 0 && memchr(text, '\\', size) == NULL) { /* a loop that the compiler can vectorise */
        for (size_t at = 1; at < size; at++) words += (text[at] != ' ') & (text[at - 1] == ' ');
        return words;
    }
    bool inside = words > 0;
    for (const char *at = text, *end = text + size; at < end; at++) {
        bool space = *at == ' ' || (*at == '\\' && strchr("ntrf", at[1]) != NULL);
        if (*at == '\\') at++;
        words += !space && !inside;
        inside = !space;
    }
    return words;
}

struct reading { struct generation *generation; long max_tokens; };

static void read_field(void *context, const struct json_value *value) {
    struct reading *reading = context;
    struct generation *generation = reading->generation;
    const char *path = value->path;
    if (!strcmp(path, "model")) snprintf(generation->model, MODEL_SIZE, "%.*s", (int)value->size, value->text);
    if (!strcmp(path, "stream")) generation->stream = json_is_true(value);
    if (!strcmp(path, "stream_options.include_usage")) generation->include_usage = json_is_true(value);
    if (!strcmp(path, "max_tokens") || !strcmp(path, "max_completion_tokens"))
        reading->max_tokens = (long)json_number(value);
    if (!strcmp(path, "mock.tokens")) generation->tokens = (long)json_number(value);
    if (!strcmp(path, "mock.ttft_s")) generation->ttft_s = json_number(value);
    if (!strcmp(path, "mock.interval_s")) generation->interval_s = json_number(value);
    const char *const prompts[] = {"prompt", "messages.*.content", "messages.*.content.*.text"};
    for (size_t index = generation->chat; value->string && index < (generation->chat ? 3 : 1); index++)
        if (!strcmp(path, prompts[index]))
            generation->prompt_tokens += count_words(value->text, value->size);
}

bool generation_parse(const struct buffer *body, bool chat, const struct behaviour *behaviour,
                      struct generation *generation) {
    *generation = (struct generation){
        .chat = chat, .tokens = behaviour->tokens, .ttft_s = behaviour->ttft_s, .interval_s = behaviour->interval_s};
    struct reading reading = {generation, 0};
    if (!json_read(body->data, body->size, read_field, &reading)) return false;
    if (generation->model[0] == 0) snprintf(generation->model, MODEL_SIZE, "%s", behaviour->model);
    generation->probe = reading.max_tokens == 1;
    generation->cut = reading.max_tokens > 0 && reading.max_tokens < generation->tokens;
    if (generation->cut) generation->tokens = reading.max_tokens;
    return true;
}

void respond(struct buffer *out, const char *status, const char *content_type, const struct buffer *body) {
    buffer_print(out, "HTTP/1.1 %s\r\nserver: glasshouse-mock-engine\r\ncontent-type: %s\r\n"
                 "content-length: %zu\r\n\r\n", status, content_type, body->size);
    buffer_append(out, body->data, body->size);
}

static void print_usage(struct buffer *out, const struct generation *generation) {
    buffer_print(out, "\"usage\":{\"prompt_tokens\":%ld,\"total_tokens\":%ld,\"completion_tokens\":%ld}",
                 generation->prompt_tokens, generation->prompt_tokens + generation->tokens, generation->tokens);
}

/* What every answer and event begins with; `chat` is the kind of object in a chat. */
static void print_opening(struct buffer *out, const struct generation *generation, const char *prefix,
                          const char *chat) {
    buffer_print(out, "%s{\"id\":\"%s-mock-%ld\",\"object\":\"%s\",\"created\":%lld,\"model\":\"%s\",\"choices\":["
                 "{\"index\":0,", prefix, generation->chat ? "chatcmpl" : "cmpl", generation->number,
                 generation->chat ? chat : "text_completion", (long long)time(NULL), generation->model);
}

static const char *finish_reason(const struct generation *generation) {
    return generation->cut ? "\"length\"" : "\"stop\"";
}

void generation_answer(const struct generation *generation, struct buffer *out) {
    static struct buffer body;
    body.size = 0;
    print_opening(&body, generation, "", "chat.completion");
    buffer_print(&body, generation->chat ? "\"message\":{\"role\":\"assistant\",\"content\":\"" : "\"text\":\"");
    for (long token = 0; token < generation->tokens; token++) {
        char text[TOKEN_SIZE];
        token_print(text, token);
        buffer_append(&body, text, TOKEN_SIZE);
    }
    buffer_print(&body, "%s,\"logprobs\":null,\"finish_reason\":%s}],", generation->chat ? "\"}" : "\"",
                 finish_reason(generation));
    print_usage(&body, generation);
    buffer_append(&body, "}", 1);
    respond(out, "200 OK", "application/json", &body);
}

/* Append an event as an HTTP chunk. */
static int chunk(struct buffer *out, const struct buffer *event) {
    buffer_print(out, "%zx\r\n", event->size);
    buffer_append(out, event->data, event->size);
    buffer_append(out, "\r\n", 2);
    return 1;
}

static int print_choice(struct buffer *out, const struct generation *generation, const char *role, const char *token,
                        const char *reason) {
    struct buffer event = {0};
    print_opening(&event, generation, "data: ", "chat.completion.chunk");
    if (generation->chat) buffer_print(&event, "\"delta\":{%s\"content\":\"%s\"}", role, token);
    else buffer_print(&event, "\"text\":\"%s\"", token);
    buffer_print(&event, ",\"logprobs\":null,\"finish_reason\":%s}]}\n\n", reason);
    int events = chunk(out, &event);
    buffer_free(&event);
    return events;
}

void generation_stream_head(struct buffer *out) {
    buffer_print(out, "HTTP/1.1 200 OK\r\nserver: glasshouse-mock-engine\r\n"
                 "content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n");
}

int generation_begin(struct generation *generation, struct buffer *out) {
    /* Every token but the last is copied from this one. */
    print_choice(&generation->event, generation, "", " w000", "null");
    const char *found = memmem(generation->event.data, generation->event.size, " w000\"", 6);
    generation->token_at = (size_t)(found - generation->event.data);
    return generation->chat ? print_choice(out, generation, "\"role\":\"assistant\",", "", "null") : 0;
}

int generation_token(struct generation *generation, long token, struct buffer *out) {
    char text[TOKEN_SIZE + 1] = "";
    token_print(text, token);
    if (token + 1 == generation->tokens) return print_choice(out, generation, "", text, finish_reason(generation));
    memcpy(generation->event.data + generation->token_at, text, TOKEN_SIZE);
    buffer_append(out, generation->event.data, generation->event.size);
    return 1;
}

int generation_end(const struct generation *generation, struct buffer *out) {
    int events = 0;
    if (generation->include_usage) {
        struct buffer event = {0};
        print_opening(&event, generation, "data: ", "chat.completion.chunk");
        event.size -= strlen("{\"index\":0,"); /* it has no choice */
        buffer_print(&event, "],");
        print_usage(&event, generation);
        buffer_print(&event, "}\n\n");
        events += chunk(out, &event);
        buffer_free(&event);
    }
    buffer_print(out, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
    return events + 1;
}

void generation_free(struct generation *generation) {
    buffer_free(&generation->event);
}
