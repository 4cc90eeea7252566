/* HTTP/1.1 as a peer reads it: the head of a message, and its body without chunks. */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { PATH_SIZE = 64 };

struct head {
    char method[8], path[PATH_SIZE]; /* of a request; the path without its query */
    int status;                      /* of a response */
    bool keep_alive, chunked, expects_continue;
    long length;                     /* content-length, or -1 */
};

struct body {
    bool chunked, until_close, done;
    int state;
    unsigned long left; /* bytes of the body, or of the chunk */
};

/* Parse a head. Returns its size; 0 while it is incomplete, -1 when it is malformed. */
ssize_t http_parse_head(const char *data, size_t size, bool response, struct head *head);
/* The body that follows a head; a response without a length lasts until the connection is closed. */
struct body http_body(const struct head *head, bool response);
/* Decode in place. Returns the bytes of payload, now at the start of `data`, or -1; `*used` gets how much was read. */
ssize_t http_decode(struct body *body, char *data, size_t size, size_t *used);

#endif
