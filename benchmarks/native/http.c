#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEAD_LIMIT = 64 * 1024 };
enum { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_CR, CHUNK_LF, TRAILER, TRAILER_LINE }; /* what the next byte is */

static bool is_named(const char *line, size_t size, const char *name, const char **value, size_t *value_size) {
    size_t length = strlen(name);
    if (size <= length || line[length] != ':' || strncasecmp(line, name, length) != 0) return false;
    const char *start = line + length + 1, *end = line + size;
    while (start < end && (*start == ' ' || *start == '\t')) start++;
    while (end > start && (end[-1] == ' ' || end[-1] == '\t')) end--;
    *value = start, *value_size = (size_t)(end - start);
    return true;
}

static bool equals(const char *value, size_t size, const char *expected) {
    return size == strlen(expected) && strncasecmp(value, expected, size) == 0;
}

static bool parse_length(const char *value, size_t size, long *length) {
    char digits[20];
    if (size == 0 || size >= sizeof digits || strspn(value, "0123456789") < size) return false;
    memcpy(digits, value, size);
    digits[size] = 0;
    *length = strtol(digits, NULL, 10);
    return true;
}

static bool parse_field(const char *line, size_t size, struct head *head) {
    const char *value;
    size_t length;
    if (is_named(line, size, "content-length", &value, &length)) return parse_length(value, length, &head->length);
    if (is_named(line, size, "transfer-encoding", &value, &length))
        return head->chunked = equals(value, length, "chunked"); /* nothing else is understood */
    if (is_named(line, size, "connection", &value, &length)) {
        if (equals(value, length, "close")) head->keep_alive = false;
        if (equals(value, length, "keep-alive")) head->keep_alive = true;
    }
    if (is_named(line, size, "expect", &value, &length)) head->expects_continue = equals(value, length, "100-continue");
    return true;
}

static bool parse_start(const char *data, size_t size, bool response, struct head *head) {
    int minor = -1;
    char line[1024], target[sizeof line];
    if (size >= sizeof line) return false;
    memcpy(line, data, size);
    line[size] = 0;
    if (response) {
        if (sscanf(line, "HTTP/1.%1d %3d", &minor, &head->status) != 2) return false;
    } else {
        if (sscanf(line, "%7[A-Z] %1000s HTTP/1.%1d", head->method, target, &minor) != 3) return false;
        snprintf(head->path, sizeof head->path, "%.*s", (int)strcspn(target, "?"), target);
    }
    head->keep_alive = minor == 1;
    return true;
}

ssize_t http_parse_head(const char *data, size_t size, bool response, struct head *head) {
    const char *end = memmem(data, size, "\r\n\r\n", 4);
    if (end == NULL) return size > HEAD_LIMIT ? -1 : 0;
    *head = (struct head){.length = -1};
    const char *next = memmem(data, size, "\r\n", 2);
    if (!parse_start(data, (size_t)(next - data), response, head)) return -1;
    for (const char *line = next + 2; line < end; line = next + 2) {
        next = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
        if (!parse_field(line, (size_t)(next - line), head)) return -1;
    }
    return end + 4 - data;
}

struct body http_body(const struct head *head, bool response) {
    struct body body = {.chunked = head->chunked};
    if (head->chunked) return body;
    body.until_close = response && head->length < 0;
    body.left = head->length > 0 ? (unsigned long)head->length : 0;
    body.done = !body.until_close && body.left == 0;
    return body;
}

static int hexadecimal(char byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* One byte that is not payload; false when it is not where it should be. */
static bool chunk_byte(struct body *body, char byte) {
    switch (body->state) {
    case CHUNK_SIZE:
        if (hexadecimal(byte) >= 0) {
            body->left = 16 * body->left + (unsigned)hexadecimal(byte);
            return body->left < 1UL << 40;
        } /* fall through */
    case CHUNK_EXTENSION:
        if (byte == '\n') body->state = body->left ? CHUNK_DATA : TRAILER;
        else body->state = CHUNK_EXTENSION;
        return true;
    case CHUNK_CR: body->state = CHUNK_LF; return byte == '\r';
    case CHUNK_LF: body->state = CHUNK_SIZE; return byte == '\n';
    case TRAILER:
        if (byte == '\n') body->done = true;
        else if (byte != '\r') body->state = TRAILER_LINE;
        return true;
    default: /* TRAILER_LINE */
        if (byte == '\n') body->state = TRAILER;
        return true;
    }
}

static ssize_t decode_chunks(struct body *body, char *data, size_t size, size_t *used) {
    size_t at = 0, decoded = 0;
    while (at < size && !body->done) {
        if (body->state != CHUNK_DATA) {
            if (!chunk_byte(body, data[at++])) return -1;
            continue;
        }
        size_t piece = size - at < body->left ? size - at : body->left;
        memmove(data + decoded, data + at, piece);
        at += piece, decoded += piece, body->left -= piece;
        if (body->left == 0) body->state = CHUNK_CR;
    }
    *used = at;
    return (ssize_t)decoded;
}

ssize_t http_decode(struct body *body, char *data, size_t size, size_t *used) {
    if (body->chunked) return decode_chunks(body, data, size, used);
    *used = body->until_close || size < body->left ? size : body->left;
    if (body->until_close) return (ssize_t)*used;
    body->left -= *used;
    body->done = body->left == 0;
    return (ssize_t)*used;
}
