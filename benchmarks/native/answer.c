#include "answer.h"

#include <stdlib.h>
#include <string.h>

#include "token.h"

static const char NO_CHUNK[] = "an event that is not a chat chunk";

/* The value behind a key, or NULL. */
static const char *find_value(const char *data, size_t size, const char *key) {
    const char *found = memmem(data, size, key, strlen(key)), *end = data + size;
    if (found == NULL) return NULL;
    for (found += strlen(key); found < end && *found == ' '; found++) {}
    return found < end ? found : NULL;
}

static bool has_usage(const char *data, size_t size, long tokens) {
    const char *value = find_value(data, size, "\"completion_tokens\":");
    return value != NULL && strtol(value, NULL, 10) == tokens; /* a number is followed by a brace or a comma */
}

/* Check the content of a chunk; true when it is a token. */
static bool take_content(struct answer *answer, const char *content, const char *end) {
    const char *close = memchr(content + 1, '"', (size_t)(end - content - 1));
    size_t size = close ? (size_t)(close - content - 1) : 0;
    char token[TOKEN_SIZE];
    if (size == 0) return false;
    token_print(token, answer->tokens);
    if (size != TOKEN_SIZE) answer->error = "tokens merged or split";
    else if (memcmp(content + 1, token, TOKEN_SIZE) != 0) answer->error = "wrong text";
    answer->tokens++;
    return true;
}

/* Take one event without its blank line; true when it is a token. */
static bool take_event(struct answer *answer, const struct expectation *expected, const char *event, size_t size) {
    const char *end = event + size;
    if (size == 0 || *event == ':') return false; /* a comment keeps a connection alive */
    if (size < 6 || memcmp(event, "data:", 5) != 0 || answer->done) {
        answer->error = answer->done ? "an event after [DONE]" : NO_CHUNK;
        return false;
    }
    event += event[5] == ' ' ? 6 : 5;
    size = (size_t)(end - event);
    if (size == 6 && memcmp(event, "[DONE]", 6) == 0) {
        answer->done = true;
        return false;
    }
    const char *choices = find_value(event, size, "\"choices\":");
    if (choices == NULL) {
        answer->error = NO_CHUNK;
        return false;
    }
    const char *content = find_value(choices, (size_t)(end - choices), "\"content\":");
    if (content != NULL && *content == '"' && take_content(answer, content, end)) return true;
    if (has_usage(event, size, expected->tokens)) answer->usage = true;
    if (end - choices > 1 && choices[1] == ']' && !expected->usage) answer->error = "usage that was not requested";
    return false;
}

/* Take the whole events; returns how many bytes they have. */
static size_t take_events(struct answer *answer, const struct expectation *expected, const char *data, size_t size) {
    const char *event = data, *end = data + size;
    for (const char *blank; (blank = memmem(event, (size_t)(end - event), "\n\n", 2)); event = blank + 2)
        if (!answer->error) take_event(answer, expected, event, (size_t)(blank - event));
    return (size_t)(event - data);
}

long answer_feed(struct answer *answer, const struct expectation *expected, const char *data, size_t size) {
    long before = answer->tokens;
    if (answer->error) return 0;
    struct buffer *text = &answer->text;
    if (!expected->stream) {
        buffer_append(text, data, size);
    } else if (text->size > 0) {
        buffer_append(text, data, size);
        buffer_consume(text, take_events(answer, expected, text->data, text->size));
    } else {
        size_t taken = take_events(answer, expected, data, size);
        buffer_append(text, data + taken, size - taken);
    }
    return answer->tokens - before;
}

static bool has_text(const struct buffer *body, long tokens) {
    static char *text; /* in quotes */
    static long known = -1;
    if (known != tokens) {
        text = resize(text, (size_t)tokens * TOKEN_SIZE + 2);
        for (long token = 0; token < tokens; token++) token_print(text + 1 + token * TOKEN_SIZE, token);
        text[0] = text[1 + tokens * TOKEN_SIZE] = '"';
        known = tokens;
    }
    return body->size > 0 && memmem(body->data, body->size, text, (size_t)tokens * TOKEN_SIZE + 2) != NULL;
}

const char *answer_check(struct answer *answer, const struct expectation *expected) {
    if (answer->error) return answer->error;
    if (!expected->stream) {
        if (!has_text(&answer->text, expected->tokens)) return "wrong text";
        return has_usage(answer->text.data, answer->text.size, expected->tokens) ? NULL : "wrong usage";
    }
    if (answer->text.size > 0) return "ends within an event";
    if (!answer->done) return "no [DONE]";
    if (answer->tokens != expected->tokens) return "wrong number of tokens";
    return expected->usage && !answer->usage ? "wrong usage" : NULL;
}

void answer_reset(struct answer *answer) {
    answer->text.size = 0;
    *answer = (struct answer){.text = answer->text};
}
