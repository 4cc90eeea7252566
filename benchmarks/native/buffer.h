/* Bytes that grow. */
#ifndef BUFFER_H
#define BUFFER_H

#include <stddef.h>

struct buffer { char *data; size_t size, capacity; };

/* Append bytes; the program ends when there is no memory. */
void buffer_append(struct buffer *buffer, const void *data, size_t size);
/* Append as printf does. */
__attribute__((format(printf, 2, 3))) void buffer_print(struct buffer *buffer, const char *format, ...);
/* Remove bytes from the front. */
void buffer_consume(struct buffer *buffer, size_t size);
void buffer_free(struct buffer *buffer);
/* As realloc; the program ends when there is no memory. */
void *resize(void *memory, size_t size);

#endif
