/* JSON as a sequence of values, each with the path that leads to it. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>

enum { JSON_DEPTH = 32 };

struct json_value {
    const char *path;  /* keys joined with dots, as written; an array's elements have the key "*": messages.*.content */
    const char *text;  /* as written; a string without its quotes, with its escapes */
    size_t size;
    bool string;
};

typedef void json_reader(void *context, const struct json_value *value);

/* Read an object; `reader` gets every value in it that is no object and no array. False when it is not one. */
bool json_read(const char *data, size_t size, json_reader *reader, void *context);
double json_number(const struct json_value *value);
bool json_is_true(const struct json_value *value);

#endif
