#include "transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "network.h"

#ifdef TLS
#include <openssl/ssl.h>

static SSL_CTX *context;

void transport_enable_tls(void) {
    context = SSL_CTX_new(TLS_client_method()); /* it verifies no certificate: the peer is on this machine */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static void begin_tls(struct transport *transport) {
    if (context == NULL) return;
    transport->tls = SSL_new(context);
    SSL_set_fd(transport->tls, transport->socket);
    SSL_set_connect_state(transport->tls);
}

static ssize_t result(const struct transport *transport, int done) {
    if (done > 0) return done;
    int error = SSL_get_error(transport->tls, done);
    if (error == SSL_ERROR_ZERO_RETURN) return CLOSED;
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? LATER : FAILED;
}

static ssize_t read_tls(struct transport *transport, void *data, size_t size) {
    return result(transport, SSL_read(transport->tls, data, (int)size));
}

static ssize_t write_tls(struct transport *transport, const void *data, size_t size) {
    return result(transport, SSL_write(transport->tls, data, (int)size));
}

bool transport_pending(const struct transport *transport) {
    return transport->tls != NULL && SSL_pending(transport->tls) > 0;
}

static void end_tls(struct transport *transport) {
    SSL_free(transport->tls);
}
#else
void transport_enable_tls(void) {
    fputs("built without TLS: apt-get install libssl-dev\n", stderr);
    exit(1);
}

#define UNUSED __attribute__((unused))
static void begin_tls(UNUSED struct transport *transport) {}
static void end_tls(UNUSED struct transport *transport) {}
static ssize_t read_tls(UNUSED struct transport *transport, UNUSED void *data, UNUSED size_t size) { return FAILED; }
static ssize_t write_tls(UNUSED struct transport *transport, UNUSED const void *data, UNUSED size_t size) {
    return FAILED;
}
bool transport_pending(UNUSED const struct transport *transport) { return false; }
#endif

bool transport_open(struct transport *transport, int port) {
    *transport = (struct transport){.socket = connect_to(port)};
    if (transport->socket >= 0) begin_tls(transport);
    return transport->socket >= 0;
}

ssize_t transport_read(struct transport *transport, void *data, size_t size) {
    if (transport->tls) return read_tls(transport, data, size);
    ssize_t done = recv(transport->socket, data, size, 0);
    return done >= 0 ? done : errno == EAGAIN ? LATER : FAILED;
}

ssize_t transport_write(struct transport *transport, const void *data, size_t size) {
    if (transport->tls) return write_tls(transport, data, size);
    ssize_t done = send(transport->socket, data, size, MSG_NOSIGNAL);
    return done > 0 ? done : errno == EAGAIN ? LATER : FAILED;
}

void transport_close(struct transport *transport) {
    if (transport->tls) end_tls(transport);
    close(transport->socket);
    transport->socket = -1;
}
