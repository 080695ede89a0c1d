/* A password's hash for `auth.users`. The password is asked for, or read from standard input:
 * an argument would be seen by everybody who lists processes. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "server/auth.h"

enum { PASSWORD_BYTES_MIN = 8, PASSWORD_BYTES_MAX = 1024 };

static const char TEXT[] =
    "Prints the hash of a password, for `password_hash` of a user in the configuration. The\n"
    "password is asked for twice on a terminal; otherwise it is the one line of standard input.\n"
    "Each call prints another hash, since each has a salt of its own.\n"
    "\n"
    "Examples\n"
    "  arrowport hash-password\n"
    "  printf '%s' \"$PASSWORD\" | arrowport hash-password > anna.hash\n";

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number) { interrupted = signal_number; }

static enum status too_long(struct error *error) {
  return error_set(error, STATUS_INVALID, "a password has at most %d bytes", PASSWORD_BYTES_MAX);
}

static enum status interrupted_error(struct error *error) {
  return error_set(error, STATUS_CANCELLED, "interrupted");
}

/* Waits for a byte; signals come only here, under `mask`, so that none slips in between a look
 * at `interrupted` and the wait. */
static enum status wait_for_byte(int file, const sigset_t *mask, struct error *error) {
  struct pollfd poll_file = {.fd = file, .events = POLLIN};
  while (interrupted == 0 && ppoll(&poll_file, 1, NULL, mask) < 0)
    if (errno != EINTR)
      return error_set(error, STATUS_IO, "the terminal cannot be asked: %s", strerror(errno));
  return interrupted == 0 ? STATUS_OK : interrupted_error(error);
}

/* Up to the end of the line or of the input; `room` bytes with the NUL. `mask` NULL: no signal
 * is waited for. */
static enum status read_line(int file, const sigset_t *mask, char *line, size_t room,
                             struct error *error) {
  size_t bytes = 0;
  for (;;) {
    char byte;
    enum status status = mask == NULL ? STATUS_OK : wait_for_byte(file, mask, error);
    if (status != STATUS_OK) return status;
    ssize_t got = read(file, &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return error_set(error, STATUS_IO, "the password cannot be read: %s", strerror(errno));
    if (got == 0 || byte == '\n') break;
    if (bytes + 1 == room) return too_long(error);
    line[bytes++] = byte;
  }
  if (bytes > 0 && line[bytes - 1] == '\r') bytes--;
  line[bytes] = '\0';
  if (strlen(line) != bytes)
    return error_set(error, STATUS_INVALID, "the password has a NUL byte in it");
  return STATUS_OK;
}

static void say(int terminal, const char *text) {
  ssize_t written = write(terminal, text, strlen(text));
  (void)written; /* who cannot be asked sees nothing; the answer decides */
}

/* Asks twice, without echo. Whatever ends it, the terminal is left as it was. */
static enum status ask(int terminal, char *password, char *again, struct error *error) {
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  enum { SIGNAL_COUNT = sizeof signals / sizeof signals[0] };
  struct sigaction before[SIGNAL_COUNT];
  struct sigaction action = {.sa_handler = on_interrupt};
  sigset_t blocked;
  sigset_t mask;
  struct termios shown;
  if (tcgetattr(terminal, &shown) != 0)
    return error_set(error, STATUS_IO, "the terminal cannot be asked: %s", strerror(errno));
  sigemptyset(&action.sa_mask);
  sigemptyset(&blocked);
  for (int i = 0; i < SIGNAL_COUNT; i++) sigaddset(&blocked, signals[i]);
  sigprocmask(SIG_BLOCK, &blocked, &mask);
  for (int i = 0; i < SIGNAL_COUNT; i++) sigaction(signals[i], &action, &before[i]);
  struct termios hidden = shown;
  hidden.c_lflag &= ~(tcflag_t)ECHO;
  tcsetattr(terminal, TCSAFLUSH, &hidden);
  say(terminal, "Password: ");
  enum status status = read_line(terminal, &mask, password, PASSWORD_BYTES_MAX + 1, error);
  if (status == STATUS_OK) {
    say(terminal, "\nThe same again: ");
    status = read_line(terminal, &mask, again, PASSWORD_BYTES_MAX + 1, error);
  }
  tcsetattr(terminal, TCSAFLUSH, &shown);
  say(terminal, "\n");
  for (int i = 0; i < SIGNAL_COUNT; i++) sigaction(signals[i], &before[i], NULL);
  sigprocmask(SIG_SETMASK, &mask, NULL);
  if (interrupted != 0) raise(interrupted);
  if (status == STATUS_OK && strcmp(password, again) != 0)
    status = error_set(error, STATUS_INVALID, "the two passwords differ; nothing is printed");
  return status;
}

static enum status run(const struct cli *cli, struct error *error) {
  (void)cli;
  char password[PASSWORD_BYTES_MAX + 1] = "";
  char again[PASSWORD_BYTES_MAX + 1] = "";
  struct text out = TEXT_EMPTY;
  enum status status = isatty(STDIN_FILENO)
                           ? ask(STDIN_FILENO, password, again, error)
                           : read_line(STDIN_FILENO, NULL, password, sizeof password, error);
  if (status == STATUS_OK && strlen(password) < PASSWORD_BYTES_MIN)
    status =
        error_set(error, STATUS_INVALID,
                  "the password has fewer than %d bytes and could be guessed", PASSWORD_BYTES_MIN);
  if (status == STATUS_OK) status = auth_hash(password, &out, error);
  if (status == STATUS_OK) status = text_add(&out, "\n", error);
  if (status == STATUS_OK) status = cli_print(&out, error);
  explicit_bzero(password, sizeof password);
  explicit_bzero(again, sizeof again);
  text_release(&out);
  return status;
}

const struct cli_command COMMAND_HASH_PASSWORD = {
    .name = "hash-password",
    .summary = "print a password's hash for the configuration",
    .usage = "",
    .text = TEXT,
    .arguments_max = 0,
    .run = run};
