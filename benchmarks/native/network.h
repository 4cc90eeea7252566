/* Sockets and the clock. */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdint.h>

/* Allow as many open files as this process may have. */
void allow_many_files(void);
/* Listen on 127.0.0.1; a port of 0 chooses a free one. Returns the socket and writes the port, or ends the program. */
int listen_on(int *port);
/* Begin to connect to 127.0.0.1. Returns a non-blocking socket, or -1. */
int connect_to(int port);
void send_at_once(int socket);
/* Monotonic seconds. */
double now(void);
/* For epoll_wait: milliseconds until a time, rounded up so that nothing is early; -1 for never. */
int milliseconds_until(double time);

#endif
