/* Posts a small body and takes the whole answer in, keeping none of it: a client
 * that costs next to nothing, so that what is measured is the sender.
 *
 *   http_receive PORT TARGET CONTENT_TYPE ACCEPT BODY
 *
 * Prints one JSON object: seconds until the first byte and until the last, bytes
 * (framing included), status. */
#include "socket.h"

enum { READ_BYTES = 1 << 20 };

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: http_receive PORT TARGET CONTENT_TYPE ACCEPT BODY\n");
    return 2;
  }
  char request[4096];
  int request_bytes = snprintf(request, sizeof request,
                               "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Type: %s\r\n"
                               "Accept: %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                               argv[2], argv[1], argv[3], argv[4], strlen(argv[5]), argv[5]);
  if (request_bytes < 0 || (size_t)request_bytes >= sizeof request) return 2;
  char *data = malloc(READ_BYTES);
  if (data == NULL) die("malloc");
  int fd = connect_loopback(argv[1]);

  double start = now_s();
  write_all(fd, request, (size_t)request_bytes);
  size_t filled;
  size_t body_at = read_head(fd, data, READ_BYTES, &filled);
  double first = now_s();
  char status[4] = {0};
  memcpy(status, data + strlen("HTTP/1.1 "), 3);
  uint64_t total = filled - body_at;
  /* A chunked answer that was broken off lacks its last chunk. */
  char tail[8] = {0};
  for (size_t got; (got = read_some(fd, data, READ_BYTES)) > 0; total += got) {
    size_t keep = got < 7 ? got : 7;
    memmove(tail, tail + keep, 7 - keep);
    memcpy(tail + 7 - keep, data + got - keep, keep);
  }
  double end = now_s();
  printf("{\"seconds\": %.6f, \"first_seconds\": %.6f, \"bytes\": %llu, \"status\": %s, "
         "\"whole\": %s}\n",
         end - start, first - start, (unsigned long long)total, status,
         strcmp(tail, "\r\n0\r\n\r\n") == 0 ? "true" : "false");
  close(fd);
  free(data);
  return 0;
}
