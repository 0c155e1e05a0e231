/* A custom runtime in C, with nothing but the C library: asks for an event, answers with it in a list, and so on. */

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST (8 * 1024 * 1024)

static char buffer[MOST];

static int open_line(void) {
    char host[256];
    snprintf(host, sizeof host, "%s", getenv("AWS_LAMBDA_RUNTIME_API"));
    char *port = strchr(host, ':');
    *port++ = 0;
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
    if (inet_pton(AF_INET, host, &place.sin_addr) != 1) exit(3);
    int line = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (connect(line, (struct sockaddr *)&place, sizeof place)) exit(4);
    setsockopt(line, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* An answer is written in pieces. */
    return line;
}

/* Reads one answer into the buffer; the result is its body. */
static char *answer(int line, size_t *length) {
    size_t have = 0;
    char *end = NULL;
    while (!end) {
        ssize_t more = read(line, buffer + have, MOST - 1 - have);
        if (more <= 0) exit(0); /* The environment has ended. */
        have += (size_t)more;
        buffer[have] = 0;
        end = strstr(buffer, "\r\n\r\n");
    }
    char *body = end + 4, *told = strcasestr(buffer, "content-length:");
    *length = told ? (size_t)strtoul(told + 15, NULL, 10) : 0;
    while (have < (size_t)(body - buffer) + *length) {
        ssize_t more = read(line, buffer + have, MOST - 1 - have);
        if (more <= 0) exit(0);
        have += (size_t)more;
    }
    return body;
}

static void write_all(int line, const char *data, size_t length) {
    while (length) {
        ssize_t done = write(line, data, length);
        if (done <= 0) exit(5);
        data += done;
        length -= (size_t)done;
    }
}

int main(void) {
    int line = open_line();
    static const char next[] = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: api\r\n\r\n";
    for (;;) {
        size_t length;
        write_all(line, next, sizeof next - 1);
        char *event = answer(line, &length);
        char id[64];
        sscanf(strcasestr(buffer, "lambda-runtime-aws-request-id:") + 30, " %63s", id);
        char head[512];
        int size = snprintf(head, sizeof head,
            "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: api\r\nContent-Length: %zu\r\n\r\n[",
            id, length + 2);
        write_all(line, head, (size_t)size);
        write_all(line, event, length);
        write_all(line, "]", 1);
        answer(line, &length);
        if (strncmp(buffer, "HTTP/1.1 202", 12)) exit(6);
    }
}
