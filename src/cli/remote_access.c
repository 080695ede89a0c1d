/* Who we are to a server, and whom we trust: --token, --user, --ca-cert and the like.
 *
 * A secret on the command line is seen by everybody on the machine (`ps`), so there are the
 * environment, a file and a prompt; none of them gets into a message. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"

/* The first line of what can be read there, without its end. */
static enum status read_line(int file, char secret[REMOTE_SECRET_BYTES], struct error *error) {
  size_t used = 0;
  size_t got = 1;
  enum status status = STATUS_OK;
  while (status == STATUS_OK && got > 0 && memchr(secret, '\n', used) == NULL &&
         used < REMOTE_SECRET_BYTES - 1) {
    status = file_read(file, secret + used, REMOTE_SECRET_BYTES - 1 - used, &got, error);
    if (status == STATUS_OK) used += got;
  }
  secret[used] = '\0';
  if (status != STATUS_OK) return status;
  if (memchr(secret, '\n', used) == NULL && used == REMOTE_SECRET_BYTES - 1)
    return error_set(error, STATUS_TOO_LARGE, "its first line has more than %d bytes",
                     REMOTE_SECRET_BYTES - 2);
  secret[strcspn(secret, "\r\n")] = '\0';
  return secret[0] == '\0' ? error_set(error, STATUS_INVALID, "its first line is empty")
                           : STATUS_OK;
}

static enum status read_token(const char *path, char secret[REMOTE_SECRET_BYTES],
                              struct error *error) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  enum status status = file < 0 ? file_failed(errno, error) : read_line(file, secret, error);
  if (file >= 0) close(file);
  if (status != STATUS_OK) error_at(error, "--token-file '%.200s'", path);
  return status;
}

/* Asks at the terminal, which does not show what is typed. */
static enum status ask_password(const char *user, char secret[REMOTE_SECRET_BYTES],
                                struct error *error) {
  struct termios before;
  int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
  if (terminal < 0 || tcgetattr(terminal, &before) != 0) {
    if (terminal >= 0) close(terminal);
    return error_set(error, STATUS_INVALID,
                     "there is no terminal to ask for the password of --user; give it by "
                     "ARROWPORT_PASSWORD");
  }
  struct termios silent = before;
  silent.c_lflag &= ~(tcflag_t)ECHO;
  tcsetattr(terminal, TCSAFLUSH, &silent);
  dprintf(terminal, "Password of %.100s: ", user);
  enum status status = read_line(terminal, secret, error);
  tcsetattr(terminal, TCSAFLUSH, &before);
  dprintf(terminal, "\n");
  close(terminal);
  if (status != STATUS_OK) error_at(error, "the password");
  return status;
}

bool remote_is_near(const char *url) {
  static const char *const names[] = {"127.", "localhost", "[::1]"};
  const char *host = strstr(url, "://");
  for (size_t i = 0; host != NULL && i < sizeof names / sizeof names[0]; i++)
    if (strncmp(host + 3, names[i], strlen(names[i])) == 0) return true;
  return false;
}

/* NULL unless it says something. */
static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value != NULL && value[0] != '\0' ? value : NULL;
}

enum status remote_secret(const struct cli *cli, struct http_client_access *access,
                          char secret[REMOTE_SECRET_BYTES], struct error *error) {
  const char *token_path = cli_value(cli, "token-file");
  access->token = cli_value(cli, "token");
  access->user = cli_value(cli, "user");
  if ((access->token != NULL) + (token_path != NULL) + (access->user != NULL) > 1)
    return error_set(error, STATUS_INVALID, "give one of --token, --token-file and --user");
  if (token_path != NULL) {
    access->token = secret;
    return read_token(token_path, secret, error);
  }
  if (access->user != NULL) {
    access->password = variable("ARROWPORT_PASSWORD");
    if (access->password != NULL) return STATUS_OK;
    access->password = secret;
    return ask_password(access->user, secret, error);
  }
  if (access->token == NULL) access->token = variable("ARROWPORT_TOKEN");
  return STATUS_OK;
}

enum status remote_access(const struct cli *cli, struct remote *remote, struct error *error) {
  char secret[REMOTE_SECRET_BYTES];
  struct http_client_access access = {
      .ca_path = cli_value(cli, "ca-cert"),
      .cert_path = cli_value(cli, "client-cert"),
      .key_path = cli_value(cli, "client-key"),
      .insecure = cli_has(cli, "insecure"),
  };
  enum status status = remote_secret(cli, &access, secret, error);
  if (status == STATUS_OK) status = http_client_set_access(remote->client, &access, error);
  explicit_bzero(secret, sizeof secret);
  bool told = access.token != NULL || access.user != NULL;
  if (status == STATUS_OK && told && strncmp(remote->url, "http://", 7) == 0 &&
      !remote_is_near(remote->url))
    fprintf(stderr, "arrowport: warning: the %s goes to %.200s unencrypted; use https://\n",
            access.user != NULL ? "password" : "token", remote->url);
  return status;
}
