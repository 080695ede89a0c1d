#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"

enum status cli_write(const void *data, size_t bytes, struct error *error) {
  const char *at = data;
  while (bytes > 0) {
    ssize_t written = write(STDOUT_FILENO, at, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0)
      return error_set(error, STATUS_IO, "standard output takes no more: %s", strerror(errno));
    at += written;
    bytes -= (size_t)written;
  }
  return STATUS_OK;
}

enum status cli_print(const struct text *text, struct error *error) {
  return cli_write(text_get(text), text->size_bytes, error);
}

size_t cli_terminal_width(void) {
  struct winsize size;
  if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

bool cli_colour(int file) {
  const char *refused = getenv("NO_COLOR");
  const char *terminal = getenv("TERM");
  if (refused != NULL && refused[0] != '\0') return false; /* no-color.org */
  return isatty(file) != 0 && (terminal == NULL || strcmp(terminal, "dumb") != 0);
}
