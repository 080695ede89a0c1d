/* The command line: what its commands share.
 *
 * A command is one file that fills in a `struct cli_command`, plus one line in commands.c.
 * main.c finds it, parses the options by its table, calls `run`, prints the error and
 * turns the status into the exit code (base/status.h). Help, the manual page and the
 * completions of shells are made of the same tables, and of those of the settings. */
#ifndef ARROWPORT_CLI_CLI_H
#define ARROWPORT_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arrow/abi.h"
#include "arrow/grid.h"
#include "base/buffer.h"
#include "base/status.h"
#include "base/text.h"
#include "net/http_client.h"
#include "server/config.h"

/* ---- commands and options --------------------------------------------------------- */

struct cli_option {
  const char *name;  /* "port", without dashes; NULL ends a table */
  char letter;       /* 'p'; 0: none */
  const char *value; /* what the value is called in the help, "N"; NULL: takes none. "a|b": one of
                      * them; "FILE": a path (shells complete both) */
  const char *key;   /* the setting that it sets; NULL: the command's own affair */
  const char *doc;   /* one sentence, not a whole one */
};

struct cli;

struct cli_command {
  const char *name;
  const char *summary; /* for the list of commands */
  const char *usage;   /* what follows the name: "STREAM FILE...", "[bash|zsh]" */
  const char *text;    /* the help's body: what it does, examples */
  const struct cli_option *options;
  int arguments_min;
  int arguments_max; /* -1: any number */
  enum status (*run)(const struct cli *cli, struct error *error);
};

struct cli_given {
  const struct cli_option *option;
  const char *value; /* NULL for an option that takes none */
};

/* One call of the program. */
struct cli {
  const char *program; /* as it was called */
  const struct cli_command *command;
  const char **arguments; /* what is no option */
  int argument_count;
  struct cli_given *given; /* options in their order */
  int given_count;
  bool help;
  bool help_all; /* with an option for each setting */
};

extern const struct cli_command COMMAND_SERVE, COMMAND_INGEST, COMMAND_QUERY, COMMAND_FLIGHT,
    COMMAND_CONVERT, COMMAND_STREAMS, COMMAND_TABLES, COMMAND_SINKS, COMMAND_INSPECT,
    COMMAND_CONFIG, COMMAND_HASH_PASSWORD, COMMAND_COMPLETION, COMMAND_VERSION, COMMAND_HELP;

const struct cli_command *const *cli_commands(size_t *count);
/* STATUS_INVALID suggests the nearest one. */
enum status cli_find_command(const char *name, const struct cli_command **command,
                             struct error *error) WARN_UNUSED;

/* Reads what follows the command's name. STATUS_INVALID suggests the nearest option and
 * says how the command is called. `cli` is released by cli_release whatever happens. */
enum status cli_parse(const struct cli_command *command, int count, char **words, struct cli *cli,
                      struct error *error) WARN_UNUSED;
void cli_release(struct cli *cli);
extern const struct cli_option CLI_COMMON[]; /* options of every command */

bool cli_has(const struct cli *cli, const char *option);
/* The option's last value, or NULL. */
const char *cli_value(const struct cli *cli, const char *option);
/* Its value number `index`, or NULL past the last one. */
const char *cli_value_at(const struct cli *cli, const char *option, int index);

/* ---- settings as options (flags.c) -------------------------------------------------- */

/* An option for every setting: `http.idle_timeout_ms` is --http-idle-timeout-ms. */
const struct cli_option *cli_setting_options(size_t *count);
/* The setting of that key; NULL: there is none. */
const struct server_setting *cli_setting(const char *key);
/* Whether it is a setting that is true or false: --x, --no-x, --x=true. */
bool cli_option_is_boolean(const struct cli_option *option);

/* The configuration with the options that are settings. */
enum status cli_config(const struct cli *cli, struct server_config **config,
                       struct error *error) WARN_UNUSED;
/* The same, of a file that is not named by --config; NULL: ./arrowport.yaml, if there is one. */
enum status cli_config_at(const struct cli *cli, const char *path, struct server_config **config,
                          struct error *error) WARN_UNUSED;

/* ---- help (help.c) -------------------------------------------------------------------- */

enum status cli_overview(struct text *out, struct error *error) WARN_UNUSED;
enum status cli_print_help(const struct cli *cli, struct error *error) WARN_UNUSED;
enum status cli_man(struct text *out, struct error *error) WARN_UNUSED; /* man.c: roff */

/* Text of many parts: what follows a failure is dropped, and one look at the end is enough. */
struct say {
  struct text *text;
  struct error *error;
  enum status status;
};
#define SAY(say, ...)                                                                              \
  ((void)((say)->status = (say)->status != STATUS_OK                                               \
                              ? (say)->status                                                      \
                              : text_add_format((say)->text, (say)->error, __VA_ARGS__)))

/* ---- output ------------------------------------------------------------------------- */

/* Writes to standard output; STATUS_IO when it takes no more. */
enum status cli_write(const void *data, size_t bytes, struct error *error) WARN_UNUSED;
enum status cli_print(const struct text *text, struct error *error) WARN_UNUSED;

/* "1,234,567", as in tables (arrow/grid.h). */
enum { CLI_NUMBER_BYTES = GRID_NUMBER_BYTES };
static inline const char *cli_number(int64_t number, char text[CLI_NUMBER_BYTES]) {
  return grid_number(number, text);
}

/* Of the terminal on standard output; 0: it is none. */
size_t cli_terminal_width(void);
/* Whether what is written there may have colour: a terminal that can, and nobody minds
 * (NO_COLOR, TERM=dumb). */
bool cli_colour(int file);

/* ---- the server, seen from here ------------------------------------------------------ */

struct remote {
  struct http_client *client;
  const char *url; /* without a slash at its end */
};

/* What every command takes that talks to a server. */
#define CLI_REMOTE_OPTIONS                                                                         \
  {"url", 0, "URL", "url", "the server (default http://127.0.0.1:8888)"},                          \
      {"token", 0, "TOKEN", NULL, "bearer token (seen by `ps`: rather ARROWPORT_TOKEN)"},          \
      {"token-file", 0, "FILE", NULL, "file whose first line is the token"},                       \
      {"user", 0, "NAME", NULL, "user; the password from ARROWPORT_PASSWORD, or asked for"},       \
      {"ca-cert", 0, "FILE", NULL, "PEM: who signs the server's certificate"},                     \
      {"client-cert", 0, "FILE", NULL, "PEM: our certificate, where the server wants one"},        \
      {"client-key", 0, "FILE", NULL, "PEM: its key, unless it is in the same file"}, {            \
    "insecure", 0, NULL, NULL, "take any certificate: whoever is between can read and answer"      \
  }

/* `config` must outlive it. Reads the secrets that the options name, or asks for them. */
enum status remote_open(const struct cli *cli, const struct server_config *config,
                        struct remote *remote, struct error *error) WARN_UNUSED;
/* The part of it that is about secrets (remote_access.c). */
enum status remote_access(const struct cli *cli, struct remote *remote,
                          struct error *error) WARN_UNUSED;
void remote_close(struct remote *remote);
/* Token, or user and password, as the options and the environment say; what was read lies in
 * `secret`, to be wiped by the caller. */
enum { REMOTE_SECRET_BYTES = 8192 };
enum status remote_secret(const struct cli *cli, struct http_client_access *access,
                          char secret[REMOTE_SECRET_BYTES], struct error *error) WARN_UNUSED;
bool remote_is_near(const char *url); /* of this machine, as far as names tell */

struct remote_request {
  const char *method;
  const char *path; /* "/ingest/flights", percent-encoded */
  const char *content_type;
  const char *accept;
  const char *idempotency_key; /* NULL: none */
  const void *body;
  size_t body_bytes;
  enum status (*read_body)(void *context, void *room, size_t room_bytes, size_t *bytes,
                           struct error *error);
  /* Pieces of a good answer; NULL: collected in `answer`. */
  enum status (*take)(void *context, const void *data, size_t bytes, struct error *error);
  void *context;
};

/* Sends and waits for the whole answer. An answer that tells of an error becomes that
 * error: its status and its sentence. */
enum status remote_send(struct remote *remote, const struct remote_request *request,
                        struct text *answer, struct error *error) WARN_UNUSED;

/* Appends `string` percent-encoded, as one segment of a path. */
enum status remote_encode(struct text *path, const char *string, struct error *error) WARN_UNUSED;

/* The status that a problem's `code` names; STATUS_INTERNAL for one that is not known. */
enum status remote_status(const char *code);

#endif
