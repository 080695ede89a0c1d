/* Posts a file from memory over one connection and waits for the answer: a sender
 * that costs next to nothing, so that what is measured is the receiver.
 *
 *   http_send PORT TARGET CONTENT_TYPE FILE [REPEAT FIRST LAST]
 *
 * With REPEAT, the bytes [FIRST, LAST) of the file are sent that many times: a long
 * stream from a short file. Prints one JSON object: seconds from the first byte of
 * the request to the last of the answer, body bytes, status, and the answer. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "socket.h"

enum { ANSWER_BYTES_MAX = 1 << 16 };

static const char *map_file(const char *path, size_t *bytes) {
  struct stat info;
  int fd = open(path, O_RDONLY);
  if (fd < 0 || fstat(fd, &info) != 0) die(path);
  *bytes = (size_t)info.st_size;
  const char *data = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
  if (data == MAP_FAILED) die(path);
  close(fd);
  return data;
}

int main(int argc, char **argv) {
  if (argc != 5 && argc != 8) {
    fprintf(stderr, "usage: http_send PORT TARGET CONTENT_TYPE FILE [REPEAT FIRST LAST]\n");
    return 2;
  }
  size_t bytes;
  const char *data = map_file(argv[4], &bytes);
  uint64_t repeat = argc == 8 ? strtoull(argv[5], NULL, 10) : 1;
  size_t first = argc == 8 ? strtoull(argv[6], NULL, 10) : 0;
  size_t last = argc == 8 ? strtoull(argv[7], NULL, 10) : bytes;
  if (first > last || last > bytes) {
    fprintf(stderr, "FIRST <= LAST <= %zu\n", bytes);
    return 2;
  }
  uint64_t total = first + repeat * (last - first) + (bytes - last);

  char head[1024];
  int head_bytes = snprintf(head, sizeof head,
                            "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Type: %s\r\n"
                            "Content-Length: %llu\r\n\r\n",
                            argv[2], argv[1], argv[3], (unsigned long long)total);
  if (head_bytes < 0 || (size_t)head_bytes >= sizeof head) return 2;
  int fd = connect_loopback(argv[1]);

  double start = now_s();
  write_all(fd, head, (size_t)head_bytes);
  write_all(fd, data, first);
  for (uint64_t i = 0; i < repeat; i++) write_all(fd, data + first, last - first);
  write_all(fd, data + last, bytes - last);
  double sent = now_s();
  static char answer[ANSWER_BYTES_MAX];
  size_t filled;
  size_t body_at = read_head(fd, answer, sizeof answer, &filled);
  int64_t length = content_length(answer);
  while (length > 0 && filled < body_at + (size_t)length && filled < sizeof answer - 1)
    filled += read_some(fd, answer + filled, sizeof answer - 1 - filled);
  answer[filled] = '\0';
  double end = now_s();

  const char *body = answer + body_at;
  printf("{\"seconds\": %.6f, \"sent_seconds\": %.6f, \"bytes\": %llu, \"status\": %.3s, "
         "\"answer\": %s}\n",
         end - start, sent - start, (unsigned long long)total, answer + strlen("HTTP/1.1 "),
         body[0] == '{' ? body : "null");
  close(fd);
  return 0;
}
