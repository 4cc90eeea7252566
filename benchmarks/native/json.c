#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_LIMIT = 256 };

struct parser {
    const char *at, *end;
    char path[PATH_LIMIT];
    size_t path_size;
    json_reader *reader;
    void *context;
};

static bool parse_value(struct parser *parser, int depth);

static void skip_space(struct parser *parser) {
    while (parser->at < parser->end && strchr(" \t\r\n", *parser->at) && *parser->at) parser->at++;
}

static bool accept(struct parser *parser, char byte) {
    skip_space(parser);
    if (parser->at == parser->end || *parser->at != byte) return false;
    parser->at++;
    return true;
}

/* Where a string ends: at the first quote without an escape. */
static const char *closing_quote(const char *at, const char *end) {
    const char *quote;
    while ((quote = memchr(at, '"', (size_t)(end - at))) != NULL) {
        const char *escape = memchr(at, '\\', (size_t)(quote - at)); /* two scans are faster than a loop over bytes */
        if (escape == NULL) return quote;
        at = escape + 2;
        if (at > end) return NULL;
    }
    return NULL;
}

static bool parse_string(struct parser *parser, const char **text, size_t *size) {
    if (!accept(parser, '"')) return false;
    const char *quote = closing_quote(parser->at, parser->end);
    if (quote == NULL) return false;
    *text = parser->at, *size = (size_t)(quote - parser->at);
    parser->at = quote + 1;
    return true;
}

/* Parse the value behind a key. A path that is too long is cut: no reader asks for one. */
static bool parse_member(struct parser *parser, const char *key, size_t size, int depth) {
    size_t before = parser->path_size;
    int written = snprintf(parser->path + before, PATH_LIMIT - before, "%s%.*s", before ? "." : "", (int)size, key);
    parser->path_size = before + (size_t)written < PATH_LIMIT ? before + (size_t)written : PATH_LIMIT - 1;
    bool valid = parse_value(parser, depth + 1);
    parser->path[parser->path_size = before] = 0;
    return valid;
}

static bool parse_object(struct parser *parser, int depth) {
    const char *key;
    size_t size;
    if (accept(parser, '}')) return true;
    do {
        if (!parse_string(parser, &key, &size) || !accept(parser, ':')) return false;
        if (!parse_member(parser, key, size < PATH_LIMIT ? size : PATH_LIMIT, depth)) return false;
    } while (accept(parser, ','));
    return accept(parser, '}');
}

static bool parse_array(struct parser *parser, int depth) {
    if (accept(parser, ']')) return true;
    do {
        if (!parse_member(parser, "*", 1, depth)) return false;
    } while (accept(parser, ','));
    return accept(parser, ']');
}

static bool is_literal(const char *text, size_t size) {
    static const char *const literals[] = {"true", "false", "null"};
    for (size_t index = 0; index < 3; index++)
        if (size == strlen(literals[index]) && memcmp(text, literals[index], size) == 0) return true;
    char number[64], *end;
    if (size == 0 || size >= sizeof number) return false;
    memcpy(number, text, size);
    number[size] = 0;
    strtod(number, &end);
    return *end == 0 && strspn(number, "0123456789+-.eE") == size;
}

static bool parse_scalar(struct parser *parser, struct json_value *value) {
    if (*parser->at == '"') {
        value->string = true;
        return parse_string(parser, &value->text, &value->size);
    }
    value->text = parser->at;
    while (parser->at < parser->end && !strchr(" \t\r\n,]}", *parser->at)) parser->at++;
    value->size = (size_t)(parser->at - value->text);
    return is_literal(value->text, value->size);
}

static bool parse_value(struct parser *parser, int depth) {
    if (depth > JSON_DEPTH) return false;
    if (accept(parser, '{')) return parse_object(parser, depth);
    if (accept(parser, '[')) return parse_array(parser, depth);
    if (parser->at == parser->end) return false;
    struct json_value value = {.path = parser->path};
    if (!parse_scalar(parser, &value)) return false;
    parser->reader(parser->context, &value);
    return true;
}

bool json_read(const char *data, size_t size, json_reader *reader, void *context) {
    struct parser parser = {.at = data, .end = data + size, .reader = reader, .context = context};
    if (!accept(&parser, '{') || !parse_object(&parser, 0)) return false;
    skip_space(&parser);
    return parser.at == parser.end;
}

double json_number(const struct json_value *value) {
    char number[64] = "";
    if (!value->string && value->size < sizeof number) memcpy(number, value->text, value->size);
    return strtod(number, NULL);
}

bool json_is_true(const struct json_value *value) {
    return !value->string && value->size == 4 && memcmp(value->text, "true", 4) == 0;
}
