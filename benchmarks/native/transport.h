/* A connection's bytes, in clear or over TLS (where the program was built with OpenSSL: -DTLS). */
#ifndef TRANSPORT_H
#define TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { CLOSED = 0, LATER = -1, FAILED = -2 };

struct transport { int socket; void *tls; };

/* Over TLS from now on; ends the program when it was built without. */
void transport_enable_tls(void);
/* Begin to connect to a port of this machine; false when there is no socket left. */
bool transport_open(struct transport *transport, int port);
/* As read and write, but CLOSED, LATER or FAILED instead of zero and errno. */
ssize_t transport_read(struct transport *transport, void *data, size_t size);
ssize_t transport_write(struct transport *transport, const void *data, size_t size);
/* Whether there is more to read that the socket does not show. */
bool transport_pending(const struct transport *transport);
void transport_close(struct transport *transport);

#endif
