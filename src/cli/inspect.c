#include "cli/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "base/file.h"
#include "cli/cli.h"

enum { HEAD_BYTES = 8, FIELDS_SHOWN = 200 };

/* Of messages from a pipe and of what is expanded, together: a body and its expansion at
 * their limits. What is mapped does not count. */
#define MEMORY_BYTES_MAX ((int64_t)5 << 30)

static const struct cli_option OPTIONS[] = {
    {"values", 0, NULL, NULL, "print the rows instead, as NDJSON and nothing else"},
    {"rows", 0, "N", NULL, "with --values: at most so many rows; what follows is not read"},
    {"json", 0, NULL, NULL, "the report as JSON, with every message and buffer"},
    {"messages", 0, "N", NULL, "list at most so many messages (default 20; with --json: all)"},
    {"all", 0, NULL, NULL, "list every message and every field"},
    {"no-check", 0, NULL, NULL, "read the metadata only; do not decode and check values"},
    {"eos-optional", 0, NULL, NULL, "a stream may end without its end-of-stream marker"},
    {NULL, 0, NULL, NULL, NULL}};

static const char TEXT[] =
    "Says what is in an Arrow IPC file or stream, told apart by its first bytes: schema,\n"
    "messages, sizes, compression, metadata. `-` is standard input. Every message is decoded\n"
    "and checked as a server checks it; the first defect is told with the byte where it is,\n"
    "and with what can be read all the same, also without a footer. A broken input's exit\n"
    "code is 2.\n"
    "\n"
    "Examples\n"
    "  arrowport inspect flights.arrow\n"
    "  arrowport inspect --values --rows 10 flights.arrow\n"
    "  some-program | arrowport inspect --json - | jq .totals\n";

/* ---- options --------------------------------------------------------------------------- */

/* The option's number, or `fallback` when it is not given. */
static enum status find_number(const struct cli *cli, const char *option, const char *flag,
                               int64_t fallback, int64_t *number, struct error *error) {
  const struct config_field field[] = {
      {.name = flag, .type = CONFIG_INTEGER, .min = 1, .max = INT64_MAX}, CONFIG_FIELD_END};
  const char *given = cli_value(cli, option);
  struct config *config = NULL;
  *number = fallback;
  if (given == NULL) return STATUS_OK;
  enum status status = config_new(field, &config, error);
  if (status == STATUS_OK) status = config_set(config, flag, given, CONFIG_FLAG, error);
  if (status == STATUS_OK) *number = config_integer(config, flag);
  config_free(config);
  return status;
}

static enum status find_options(const struct cli *cli, struct inspect_options *options,
                                struct error *error) {
  bool values = cli_has(cli, "values");
  bool json = cli_has(cli, "json");
  bool all = cli_has(cli, "all");
  options->check = !cli_has(cli, "no-check");
  options->eos_optional = cli_has(cli, "eos-optional");
  options->fields_max = all ? INT64_MAX : FIELDS_SHOWN;
  if (values && json)
    return error_set(error, STATUS_INVALID, "--values prints rows, --json the report: choose one");
  if (values && !options->check)
    return error_set(error, STATUS_INVALID,
                     "--values prints what was checked: --no-check does not go with it");
  if (!values && cli_value(cli, "rows") != NULL)
    return error_set(error, STATUS_INVALID, "--rows goes with --values");
  enum status status = find_number(cli, "rows", "--rows", INT64_MAX, &options->rows_max, error);
  if (status == STATUS_OK)
    status = find_number(cli, "messages", "--messages", all || json ? INT64_MAX : 20,
                         &options->messages_max, error);
  return status;
}

/* ---- input ------------------------------------------------------------------------------- */

static enum status open_input(const char *path, int *file, struct error *error) {
  *file = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
  return *file >= 0 ? STATUS_OK : file_failed(errno, error);
}

/* A file that comes through a pipe goes into a temporary one: its footer is at its end. */
static enum status inspect_spooled(struct inspect *inspect, int file, const uint8_t *head,
                                   size_t head_bytes, struct error *error) {
  struct stat stat = {.st_size = 0};
  struct buffer bytes = BUFFER_EMPTY;
  int copy = -1;
  enum status status = file_spool(file, head, head_bytes, &copy, error);
  if (status == STATUS_OK && fstat(copy, &stat) != 0) status = file_failed(errno, error);
  if (status == STATUS_OK) status = file_map(copy, stat.st_size, &bytes, error);
  if (status == STATUS_OK) status = inspect_mapped(inspect, &bytes, error);
  buffer_release(&bytes);
  if (copy >= 0) close(copy);
  return status;
}

static enum status inspect_pipe(struct inspect *inspect, int file, struct error *error) {
  uint8_t head[HEAD_BYTES];
  size_t head_bytes = 0;
  enum status status = STATUS_OK;
  for (size_t got = 1; status == STATUS_OK && got > 0 && head_bytes < HEAD_BYTES; head_bytes += got)
    status = file_read(file, head + head_bytes, HEAD_BYTES - head_bytes, &got, error);
  if (status != STATUS_OK) return status;
  if (ipc_file_magic(head, (int64_t)head_bytes))
    return inspect_spooled(inspect, file, head, head_bytes, error);
  inspect->piped = true;
  return inspect_piped(inspect, file, head, head_bytes, error);
}

static enum status inspect_path(struct inspect *inspect, const char *path, struct error *error) {
  int file = -1;
  struct stat stat = {.st_size = 0};
  struct buffer bytes = BUFFER_EMPTY;
  enum status status = open_input(path, &file, error);
  if (status == STATUS_OK && fstat(file, &stat) != 0) status = file_failed(errno, error);
  if (status == STATUS_OK && S_ISDIR(stat.st_mode))
    status = error_set(error, STATUS_INVALID, "it is a folder");
  /* An input redirected from a file may stand somewhere inside it. */
  bool whole = S_ISREG(stat.st_mode) && stat.st_size > 0 && lseek(file, 0, SEEK_CUR) == 0;
  if (status == STATUS_OK && !whole) status = inspect_pipe(inspect, file, error);
  if (status == STATUS_OK && whole) {
    status = file_map(file, stat.st_size, &bytes, error);
    if (status == STATUS_OK) status = inspect_mapped(inspect, &bytes, error);
  }
  buffer_release(&bytes);
  if (file >= 0) close(file);
  return status;
}

/* ---- the command --------------------------------------------------------------------------- */

static enum status new_report(const struct cli *cli, struct inspect *inspect, struct error *error) {
  if (cli_has(cli, "values")) return inspect_values_new(&inspect->budget, &inspect->report, error);
  return cli_has(cli, "json") ? inspect_json_new(&inspect->report, error)
                              : inspect_text_new(&inspect->report, error);
}

static void release(struct inspect *inspect) {
  if (inspect->report != NULL) inspect->report->type->free(inspect->report);
  ipc_decoder_free(inspect->decoder);
  ipc_description_release(&inspect->schema);
  ipc_footer_description_release(&inspect->footer);
  ipc_file_release(&inspect->file);
}

static enum status run(const struct cli *cli, struct error *error) {
  const char *path = cli->arguments[0];
  struct inspect *inspect = calloc(1, sizeof *inspect);
  if (inspect == NULL) return error_set(error, STATUS_NOMEM, "no memory for a report");
  inspect->name = strcmp(path, "-") == 0 ? "standard input" : path;
  inspect->limits = IPC_LIMITS_DEFAULT;
  inspect->budget.limit_bytes = MEMORY_BYTES_MAX;
  enum status status = find_options(cli, &inspect->options, error);
  inspect->checking = inspect->options.check;
  if (status == STATUS_OK) status = new_report(cli, inspect, error);
  if (status == STATUS_OK && inspect->checking)
    status = ipc_decoder_new(&inspect->limits, &inspect->budget, &inspect->decoder, error);
  if (status != STATUS_OK) goto done;
  status = inspect_path(inspect, path, error);
  if (status == STATUS_OK) {
    status = inspect->report->type->end(inspect->report, inspect, error);
    if (status == STATUS_OK && inspect->problem.status != STATUS_OK)
      status = error_set(error, inspect->problem.status, "%s%s%s", inspect->problem.text,
                         inspect->hint[0] == '\0' ? "" : "; ", inspect->hint);
  }
  if (status != STATUS_OK) error_at(error, "'%s'", inspect->name);
done:
  release(inspect);
  free(inspect);
  return status;
}

const struct cli_command COMMAND_INSPECT = {
    .name = "inspect",
    .summary = "say what is in an Arrow file or stream, and what is wrong with it",
    .usage = "FILE",
    .text = TEXT,
    .options = OPTIONS,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run};
