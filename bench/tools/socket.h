/* What the bench's small programs share: a clock, whole writes, connections. */
#ifndef ARROWPORT_BENCH_SOCKET_H
#define ARROWPORT_BENCH_SOCKET_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline double now_s(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static inline void die(const char *what) {
  perror(what);
  exit(1);
}

static inline void write_all(int fd, const char *data, size_t bytes) {
  while (bytes > 0) {
    ssize_t wrote = send(fd, data, bytes, MSG_NOSIGNAL);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) die("send");
    data += wrote;
    bytes -= (size_t)wrote;
  }
}

static inline size_t read_some(int fd, char *data, size_t bytes) {
  ssize_t got;
  do {
    got = recv(fd, data, bytes, 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0) die("recv");
  return (size_t)got;
}

static inline int connect_loopback(const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  int one = 1;
  if (fd < 0) die("socket");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
  return fd;
}

/* Reads up to the end of the header lines; returns how many bytes of `data` they
 * take, and in `filled` how many bytes are there in all. */
static inline size_t read_head(int fd, char *data, size_t room, size_t *filled) {
  *filled = 0;
  for (;;) {
    size_t got = read_some(fd, data + *filled, room - 1 - *filled);
    if (got == 0) {
      fprintf(stderr, "the other side closed within its headers\n");
      exit(1);
    }
    *filled += got;
    data[*filled] = '\0';
    const char *end = strstr(data, "\r\n\r\n");
    if (end != NULL) return (size_t)(end - data) + 4;
    if (*filled == room - 1) {
      fprintf(stderr, "headers of more than %zu bytes\n", room);
      exit(1);
    }
  }
}

/* Content-Length among header lines; -1 without one. */
static inline int64_t content_length(const char *head) {
  const char *line = strcasestr(head, "\r\ncontent-length:");
  return line == NULL ? -1 : (int64_t)strtoll(line + strlen("\r\ncontent-length:"), NULL, 10);
}

#endif
