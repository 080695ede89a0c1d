/* As http_send, through TLS (OpenSSL): posts a file from memory, or sends nothing but its
 * bytes, so that what is measured is the receiver.
 *
 *   tls_send PORT TARGET CONTENT_TYPE FILE      a request over HTTP/1.1, and its answer
 *   tls_send PORT - - FILE                      the bytes, then the end: for openssl s_server
 *
 * Nobody's certificate is looked at. Both speak TLS 1.3 with AES-128-GCM. Prints one JSON
 * object: seconds from the first byte to the last of the answer (to the receiver's end of
 * the connection), the handshake not included; body bytes, status, and the answer. */
#include <fcntl.h>
#include <openssl/ssl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "socket.h"

enum { ANSWER_BYTES_MAX = 1 << 16, WRITE_BYTES = 1 << 20 };

static void send_all(SSL *tls, const char *data, size_t bytes) {
  while (bytes > 0) {
    size_t part = bytes < WRITE_BYTES ? bytes : WRITE_BYTES;
    int wrote = SSL_write(tls, data, (int)part);
    if (wrote <= 0) die("SSL_write");
    data += wrote;
    bytes -= (size_t)wrote;
  }
}

int main(int argc, char **argv) {
  struct stat info;
  if (argc != 5) {
    fprintf(stderr, "usage: tls_send PORT TARGET CONTENT_TYPE FILE\n");
    return 2;
  }
  bool plain = strcmp(argv[2], "-") == 0;
  int file = open(argv[4], O_RDONLY);
  if (file < 0 || fstat(file, &info) != 0) die(argv[4]);
  size_t bytes = (size_t)info.st_size;
  const char *data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
  if (data == MAP_FAILED) die(argv[4]);

  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  if (context == NULL || SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1)
    die("SSL_CTX");
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL *tls = SSL_new(context);
  if (tls == NULL || SSL_set_fd(tls, connect_loopback(argv[1])) != 1 || SSL_connect(tls) != 1)
    die("SSL_connect");

  char head[1024] = "";
  if (!plain)
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Type: %s\r\n"
             "Connection: close\r\nContent-Length: %zu\r\n\r\n",
             argv[2], argv[1], argv[3], bytes);
  double start = now_s();
  if (!plain) send_all(tls, head, strlen(head));
  send_all(tls, data, bytes);
  if (plain) SSL_shutdown(tls);
  static char answer[ANSWER_BYTES_MAX];
  size_t filled = 0;
  for (int got; filled < sizeof answer - 1; filled += (size_t)got) {
    got = SSL_read(tls, answer + filled, (int)(sizeof answer - 1 - filled));
    if (got <= 0) break;
  }
  double end = now_s();
  const char *body = strstr(answer, "\r\n\r\n");
  body = body == NULL ? "" : body + 4;
  printf("{\"seconds\": %.6f, \"bytes\": %zu, \"cipher\": \"%s\", \"status\": %.3s, "
         "\"answer\": %s}\n",
         end - start, bytes, SSL_get_cipher(tls), plain ? "0" : answer + strlen("HTTP/1.1 "),
         body[0] == '{' ? body : "null");
  return 0;
}
