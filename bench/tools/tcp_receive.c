/* The limit for receiving: takes a request's body off the socket into one buffer that
 * is used again and again, looks at none of it, and answers 200. One connection
 * after the other, until it is killed.
 *
 *   tcp_receive [READ_BYTES]      prints "listening on http://127.0.0.1:PORT" */
#include "socket.h"

enum { HEAD_BYTES_MAX = 1 << 16 };

static void serve(int fd, char *data, size_t room) {
  size_t filled;
  size_t body_at = read_head(fd, data, room, &filled);
  int64_t left = content_length(data) - (int64_t)(filled - body_at);
  while (left > 0) {
    size_t got = read_some(fd, data, room);
    if (got == 0) return;
    left -= (int64_t)got;
  }
  static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
  write_all(fd, answer, sizeof answer - 1);
}

int main(int argc, char **argv) {
  size_t room = argc > 1 ? strtoull(argv[1], NULL, 10) : 1 << 18;
  if (room < HEAD_BYTES_MAX) room = HEAD_BYTES_MAX;
  char *data = malloc(room);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (data == NULL || listener < 0) die("socket");
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0) die("bind");
  if (listen(listener, 16) != 0) die("listen");
  if (getsockname(listener, (struct sockaddr *)&address, &length) != 0) die("getsockname");
  printf("listening on http://127.0.0.1:%d\n", ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) die("accept");
    serve(fd, data, room);
    close(fd);
  }
}
