/* The mock engine of the benchmarks: one thread that answers chats as tools/mock_engine does, and costs far less.
 *
 *     mock-engine [--port 18200] [--model mock]
 *
 * GET /health, /v1/models, /metrics; POST /v1/chat/completions and /v1/completions; GET /mock returns counters, POST
 * /mock changes the behaviour. It injects no faults: tests use tools/mock_engine.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "endpoints.h"
#include "generation.h"
#include "heap.h"
#include "http.h"
#include "network.h"

enum { BATCH = 256, READ_SIZE = 256 * 1024 };

struct connection {
    int socket;
    struct buffer in, out;
    struct head head;
    struct body body;
    size_t head_size, body_size; /* of the request that is being read or answered; 0 while there is no whole head */
    struct generation generation;
    struct counters *counters;
    bool generating, begun, writing, closed;
    long sent;
    double start;
    struct timer timer;
    struct connection *next_closed;
};

static struct behaviour behaviour = {.model = "mock", .tokens = 16, .events_per_write = 64};
static struct statistics statistics;
static struct heap timers;
static struct connection *closed;
static int poller;

static void read_requests(struct connection *connection);

static void close_connection(struct connection *connection) {
    if (connection->closed) return;
    if (connection->generating) connection->counters->running--, connection->counters->cancelled++;
    heap_cancel(&timers, &connection->timer);
    close(connection->socket);
    connection->closed = true;
    connection->next_closed = closed; /* freed after the batch of events, in which it may be once more */
    closed = connection;
}

static void free_closed(void) {
    while (closed != NULL) {
        struct connection *connection = closed;
        closed = connection->next_closed;
        buffer_free(&connection->in);
        buffer_free(&connection->out);
        generation_free(&connection->generation);
        free(connection);
    }
}

static void watch(struct connection *connection, bool writing) {
    if (connection->writing == writing) return;
    connection->writing = writing;
    struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = connection};
    epoll_ctl(poller, EPOLL_CTL_MOD, connection->socket, &event);
}

/* Send what is to be sent; the rest goes when the client has read. */
static void flush(struct connection *connection) {
    ssize_t sent = send(connection->socket, connection->out.data, connection->out.size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        close_connection(connection);
        return;
    }
    buffer_consume(&connection->out, sent > 0 ? (size_t)sent : 0);
    watch(connection, connection->out.size > 0);
    bool idle = connection->out.size == 0 && !connection->generating;
    if (idle && !connection->head.keep_alive) close_connection(connection);
}

static void end_request(struct connection *connection) {
    if (connection->generating) connection->counters->running--, connection->counters->finished++;
    generation_free(&connection->generation);
    connection->generating = false;
    buffer_consume(&connection->in, connection->head_size + connection->body_size);
    connection->head_size = connection->body_size = 0;
    flush(connection);
}

/* Write the events that are due, and set the timer for the next. */
static void stream(struct connection *connection) {
    struct generation *generation = &connection->generation;
    struct counters *counters = connection->counters;
    if (!connection->begun) counters->events_sent += generation_begin(generation, &connection->out);
    connection->begun = true;
    long count = generation->interval_s > 0 ? 1 : behaviour.events_per_write;
    for (; count > 0 && connection->sent < generation->tokens; count--) {
        counters->events_sent += generation_token(generation, connection->sent++, &connection->out);
        counters->tokens_sent++;
    }
    if (connection->sent >= generation->tokens) {
        counters->events_sent += generation_end(generation, &connection->out);
        end_request(connection);
        if (!connection->closed) read_requests(connection);
        return;
    }
    flush(connection);
    /* A client that reads too slowly for a stream without an interval sets the pace: see `on_writable`. */
    if (!connection->closed && (generation->interval_s > 0 || !connection->writing))
        heap_set(&timers, &connection->timer, connection->start + (double)connection->sent * generation->interval_s);
}

static void on_timer(struct connection *connection) {
    if (connection->generation.stream) {
        stream(connection);
        return;
    }
    generation_answer(&connection->generation, &connection->out);
    connection->counters->tokens_sent += connection->generation.tokens;
    end_request(connection);
    if (!connection->closed) read_requests(connection);
}

static void on_writable(struct connection *connection) {
    flush(connection);
    if (!connection->closed && connection->generating && !connection->writing && connection->timer.place == 0)
        stream(connection);
}

/* Begin to answer; true when the answer is complete. */
static bool generate(struct connection *connection, bool chat) {
    struct buffer body = {.data = connection->in.data + connection->head_size, .size = connection->body_size};
    struct generation *generation = &connection->generation;
    if (!generation_parse(&body, chat, &behaviour, generation)) {
        bad_request(&connection->out);
        return true;
    }
    if (strcmp(generation->model, behaviour.model) != 0) {
        unknown_model(&connection->out, generation->model);
        return true;
    }
    connection->counters = generation->probe ? &statistics.probes : &statistics.work;
    generation->number = statistics.work.requests + statistics.probes.requests;
    connection->counters->requests++, connection->counters->running++;
    connection->generating = true, connection->begun = false, connection->sent = 0;
    connection->start = now() + generation->ttft_s;
    double wait = generation->ttft_s;
    if (generation->stream) generation_stream_head(&connection->out);
    else if (generation->tokens > 1) wait += generation->interval_s * (double)(generation->tokens - 1);
    if (wait > 0) {
        heap_set(&timers, &connection->timer, now() + wait);
        if (generation->stream) flush(connection);
        return false;
    }
    if (generation->stream) {
        stream(connection);
        return false;
    }
    generation_answer(generation, &connection->out);
    connection->counters->tokens_sent += generation->tokens;
    return true;
}

static bool answer(struct connection *connection) {
    struct buffer body = {.data = connection->in.data + connection->head_size, .size = connection->body_size};
    const struct head *head = &connection->head;
    if (!strcmp(head->method, "POST") && !strcmp(head->path, "/v1/chat/completions")) return generate(connection, true);
    if (!strcmp(head->method, "POST") && !strcmp(head->path, "/v1/completions")) return generate(connection, false);
    respond_to_endpoint(&connection->out, head, &body, &behaviour, &statistics);
    return true;
}

/* Read the body of the current request; true when it is complete. */
static bool read_body(struct connection *connection) {
    size_t at = connection->head_size + connection->body_size, used = 0;
    char *data = connection->in.data + at;
    size_t size = connection->in.size - at;
    ssize_t decoded = http_decode(&connection->body, data, size, &used);
    if (decoded < 0) {
        close_connection(connection);
        return false;
    }
    memmove(data + decoded, data + used, size - used);
    connection->in.size -= used - (size_t)decoded;
    connection->body_size += (size_t)decoded;
    return connection->body.done;
}

/* Answer the requests that have been received, one after the other. */
static void read_requests(struct connection *connection) {
    while (!connection->closed && !connection->generating && connection->in.size > 0) {
        if (connection->head_size == 0) {
            ssize_t size = http_parse_head(connection->in.data, connection->in.size, false, &connection->head);
            if (size < 0) close_connection(connection);
            if (size <= 0) return;
            connection->head_size = (size_t)size;
            connection->body = http_body(&connection->head, false);
            if (connection->head.expects_continue && !connection->body.done) {
                buffer_print(&connection->out, "HTTP/1.1 100 Continue\r\n\r\n");
                flush(connection);
            }
        }
        if (!read_body(connection)) return;
        if (answer(connection)) end_request(connection);
    }
}

static void on_readable(struct connection *connection) {
    static char data[READ_SIZE];
    ssize_t size = recv(connection->socket, data, sizeof data, 0);
    if (size <= 0) {
        if (size == 0 || errno != EAGAIN) close_connection(connection);
        return;
    }
    buffer_append(&connection->in, data, (size_t)size);
    read_requests(connection);
}

static void accept_connections(int listener) {
    for (int socket; (socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0; ) {
        struct connection *connection = resize(NULL, sizeof *connection);
        *connection = (struct connection){.socket = socket, .head.keep_alive = true};
        connection->timer.owner = connection;
        send_at_once(socket);
        epoll_ctl(poller, EPOLL_CTL_ADD, socket, &(struct epoll_event){.events = EPOLLIN, .data.ptr = connection});
    }
}

static void serve(int listener) {
    struct epoll_event events[BATCH];
    for (;;) {
        struct timer *first = heap_first(&timers);
        int count = epoll_wait(poller, events, BATCH, milliseconds_until(first ? first->due : INFINITY));
        for (int index = 0; index < count; index++) {
            struct connection *connection = events[index].data.ptr;
            if (connection == NULL) {
                accept_connections(listener);
                continue;
            }
            unsigned seen = events[index].events;
            if (!connection->closed && seen & EPOLLOUT) on_writable(connection);
            if (!connection->closed && seen & ~(unsigned)EPOLLOUT) on_readable(connection);
        }
        double moment = now(); /* what becomes due from here on waits for its turn behind other connections */
        while ((first = heap_first(&timers)) && first->due <= moment) {
            heap_cancel(&timers, first);
            on_timer(first->owner);
        }
        free_closed();
    }
}

int main(int count, char **arguments) {
    static const struct option options[] = {{"port", 1, 0, 'p'}, {"model", 1, 0, 'm'}, {0}};
    int port = 0;
    for (int option; (option = getopt_long(count, arguments, "", options, NULL)) != -1; ) {
        if (option == 'p') port = atoi(optarg);
        else if (option == 'm') behaviour.model = optarg;
        else return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    allow_many_files();
    int listener = listen_on(&port);
    poller = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.ptr = NULL});
    printf("mock engine ready on http://127.0.0.1:%d\n", port);
    fflush(stdout);
    serve(listener);
}
