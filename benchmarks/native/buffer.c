#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *resize(void *memory, size_t size) {
    void *resized = realloc(memory, size);
    if (resized == NULL) {
        fputs("out of memory\n", stderr);
        abort();
    }
    return resized;
}

static void reserve(struct buffer *buffer, size_t size) {
    if (buffer->size + size <= buffer->capacity) return;
    while (buffer->size + size > buffer->capacity) buffer->capacity = buffer->capacity ? 2 * buffer->capacity : 1024;
    buffer->data = resize(buffer->data, buffer->capacity);
}

void buffer_append(struct buffer *buffer, const void *data, size_t size) {
    if (size == 0) return;
    reserve(buffer, size);
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

void buffer_print(struct buffer *buffer, const char *format, ...) {
    va_list arguments;
    reserve(buffer, 256);
    for (;;) {
        size_t room = buffer->capacity - buffer->size; /* for a zero as well, which is not counted */
        va_start(arguments, format);
        size_t size = (size_t)vsnprintf(buffer->data + buffer->size, room, format, arguments);
        va_end(arguments);
        if (size < room) {
            buffer->size += size;
            return;
        }
        reserve(buffer, size + 1);
    }
}

void buffer_consume(struct buffer *buffer, size_t size) {
    buffer->size -= size;
    if (size && buffer->size) memmove(buffer->data, buffer->data + size, buffer->size);
}

void buffer_free(struct buffer *buffer) {
    free(buffer->data);
    *buffer = (struct buffer){0};
}
