/* The load generator: one thread that keeps connections busy with one request and checks every answer.
 *
 *     load-generator --port 8000 --requests 20000 --connections 32 --tokens 16 [--stream] [--usage] [--tls]
 *                    [--seconds SECONDS] [--spread SECONDS] [--timeout SECONDS] <REQUEST
 *
 * REQUEST is a whole HTTP request. The connections begin within the seconds of `--spread`; after `--seconds` no request
 * is begun, and after `--timeout` what is left fails. Prints what it has measured as JSON.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "answer.h"
#include "http.h"
#include "network.h"
#include "outcome.h"
#include "transport.h"

enum { BATCH = 256, READ_SIZE = 256 * 1024 };

struct connection {
    struct transport transport;
    bool open, busy, writing, reading_body;
    size_t sent;           /* bytes of the request */
    double sent_at, token_at; /* the latter: of the last token; 0 before the first */
    struct buffer in;      /* a head that is not complete */
    struct head head;
    struct body body;
    struct answer answer;
};

static struct {
    int port;
    long requests, connections; /* `requests`: still to be sent */
    double spread, seconds, timeout;
    struct expectation expected;
} plan = {.requests = 1, .connections = 1, .timeout = 60, .expected.tokens = 16};

static struct buffer request;
static struct outcome outcome;
static struct connection *connections;
static long open_connections;
static int poller;

static void open_connection(struct connection *connection);

static void watch(struct connection *connection, bool writing, int operation) {
    connection->writing = writing;
    struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = connection};
    epoll_ctl(poller, operation, connection->transport.socket, &event);
}

static void close_connection(struct connection *connection) {
    transport_close(&connection->transport);
    connection->in.size = 0;
    connection->open = connection->busy = false;
    open_connections--;
}

/* What is missing of an answer that is not complete. */
static void fail(const struct connection *connection) {
    if (!connection->reading_body) outcome_fail(&outcome, 1, "no response");
    else if (connection->head.status != 200) outcome_fail(&outcome, 1, "status %d", connection->head.status);
    else outcome_fail(&outcome, 1, "incomplete");
}

static void write_request(struct connection *connection) {
    while (connection->busy && connection->sent < request.size) {
        size_t left = request.size - connection->sent;
        ssize_t sent = transport_write(&connection->transport, request.data + connection->sent, left);
        if (sent == LATER) break;
        if (sent < 0) {
            fail(connection);
            close_connection(connection);
            open_connection(connection);
            return;
        }
        connection->sent += (size_t)sent;
    }
    bool writing = connection->sent < request.size;
    if (writing != connection->writing) watch(connection, writing, EPOLL_CTL_MOD);
}

static bool begin_request(struct connection *connection) {
    if (plan.requests == 0) return false;
    plan.requests--;
    connection->busy = true, connection->reading_body = false;
    connection->sent = 0, connection->token_at = 0;
    connection->sent_at = now();
    answer_reset(&connection->answer);
    return true;
}

/* Connect and send, unless no request is left. A connection that cannot be made takes a request. */
static void open_connection(struct connection *connection) {
    while (begin_request(connection)) {
        if (transport_open(&connection->transport, plan.port)) {
            connection->open = true;
            open_connections++, outcome.opened++;
            watch(connection, true, EPOLL_CTL_ADD); /* it is writable once it is connected */
            return;
        }
        outcome_fail(&outcome, 1, "no socket");
    }
}

static void finish_request(struct connection *connection) {
    const char *error = answer_check(&connection->answer, &plan.expected);
    if (connection->head.status != 200) outcome_fail(&outcome, 1, "status %d", connection->head.status);
    else if (error) outcome_fail(&outcome, 1, "%s", error);
    else {
        outcome.done++;
        outcome.tokens += plan.expected.tokens;
        samples_add(&outcome.total, now() - connection->sent_at);
    }
    connection->busy = false;
    if (!connection->head.keep_alive || connection->body.until_close || connection->sent < request.size) {
        close_connection(connection);
        open_connection(connection);
    } else if (begin_request(connection)) {
        write_request(connection);
    } else {
        close_connection(connection);
    }
}

static void take_body(struct connection *connection, const char *data, size_t size) {
    long tokens = answer_feed(&connection->answer, &plan.expected, data, size);
    if (tokens == 0) return;
    double moment = now();
    if (connection->token_at == 0) samples_add(&outcome.ttft, moment - connection->sent_at);
    else samples_add(&outcome.gaps, moment - connection->token_at);
    while (--tokens > 0) samples_add(&outcome.gaps, 0); /* they came together */
    connection->token_at = moment;
}

/* Take what was received. False when it is not HTTP. */
static bool take(struct connection *connection, char *data, size_t size) {
    if (!connection->reading_body) {
        buffer_append(&connection->in, data, size);
        ssize_t head = http_parse_head(connection->in.data, connection->in.size, true, &connection->head);
        if (head <= 0) return head == 0;
        buffer_consume(&connection->in, (size_t)head);
        connection->body = http_body(&connection->head, true);
        connection->reading_body = true;
        data = connection->in.data, size = connection->in.size;
        connection->in.size = 0;
    }
    size_t used;
    ssize_t decoded = http_decode(&connection->body, data, size, &used);
    if (decoded < 0 || used < size) return false; /* one request at a time has one answer at a time */
    take_body(connection, data, (size_t)decoded);
    if (connection->body.done) finish_request(connection);
    return true;
}

static void read_response(struct connection *connection) {
    static char data[READ_SIZE];
    ssize_t size;
    do {
        size = transport_read(&connection->transport, data, sizeof data);
        if (size == LATER) return;
        if (size > 0 && connection->busy && take(connection, data, (size_t)size)) continue;
        if (size == CLOSED && connection->busy && connection->reading_body && connection->body.until_close) {
            finish_request(connection);
            return;
        }
        if (connection->busy) fail(connection);
        close_connection(connection);
        open_connection(connection);
        return;
    } while (connection->open && transport_pending(&connection->transport));
}

static void on_event(struct connection *connection, unsigned events) {
    if (!connection->open) return;
    if (events & (EPOLLERR | EPOLLHUP) && connection->sent == 0) { /* refused */
        outcome_fail(&outcome, 1, "no connection");
        close_connection(connection);
        open_connection(connection);
        return;
    }
    if (connection->writing) write_request(connection);
    if (connection->open && events & ~(unsigned)EPOLLOUT) read_response(connection);
}

/* Let those connections begin whose time has come; returns when the next one does. */
static double begin_connections(double start, long *begun) {
    double due = start;
    for (; *begun < plan.connections; ++*begun) {
        due = start + plan.spread * (double)*begun / (double)plan.connections;
        if (due > now()) break;
        open_connection(&connections[*begun]);
    }
    return due;
}

static void run(void) {
    struct epoll_event events[BATCH];
    double start = now(), deadline = start + plan.timeout;
    long begun = 0;
    while (now() < deadline) {
        if (plan.seconds > 0 && now() >= start + plan.seconds) plan.requests = 0, begun = plan.connections;
        double next = begin_connections(start, &begun);
        if (begun == plan.connections && open_connections == 0) break;
        double until = begun < plan.connections && next < deadline ? next : deadline;
        int count = epoll_wait(poller, events, BATCH, milliseconds_until(until));
        for (int index = 0; index < count; index++) on_event(events[index].data.ptr, events[index].events);
    }
    outcome.wall_s = now() - start;
    for (long index = 0; index < plan.connections; index++)
        if (connections[index].busy) fail(&connections[index]);
    if (plan.requests > 0) outcome_fail(&outcome, plan.requests, "not sent");
}

static bool parse_options(int count, char **arguments) {
    static const struct option options[] = {
        {"port", 1, 0, 'p'}, {"requests", 1, 0, 'r'}, {"connections", 1, 0, 'c'}, {"tokens", 1, 0, 'n'},
        {"stream", 0, 0, 's'}, {"usage", 0, 0, 'u'}, {"tls", 0, 0, 't'}, {"spread", 1, 0, 'd'},
        {"timeout", 1, 0, 'o'}, {"seconds", 1, 0, 'l'}, {0}};
    for (int option; (option = getopt_long(count, arguments, "", options, NULL)) != -1; ) switch (option) {
        case 'p': plan.port = atoi(optarg); break;
        case 'r': plan.requests = atol(optarg); break;
        case 'c': plan.connections = atol(optarg); break;
        case 'n': plan.expected.tokens = atol(optarg); break;
        case 's': plan.expected.stream = true; break;
        case 'u': plan.expected.usage = true; break;
        case 't': transport_enable_tls(); break;
        case 'd': plan.spread = atof(optarg); break;
        case 'o': plan.timeout = atof(optarg); break;
        case 'l': plan.seconds = atof(optarg); break;
        default: return false;
        }
    return plan.port > 0 && plan.requests > 0 && plan.connections > 0 && plan.expected.tokens > 0;
}

int main(int count, char **arguments) {
    static char data[READ_SIZE];
    if (!parse_options(count, arguments)) return 2;
    for (size_t size; (size = fread(data, 1, sizeof data, stdin)) > 0; ) buffer_append(&request, data, size);
    signal(SIGPIPE, SIG_IGN);
    allow_many_files();
    poller = epoll_create1(EPOLL_CLOEXEC);
    connections = resize(NULL, (size_t)plan.connections * sizeof *connections);
    memset(connections, 0, (size_t)plan.connections * sizeof *connections);
    run();
    outcome_print(&outcome);
    return 0;
}
