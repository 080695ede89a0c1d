/* Files of one format into another, without a server.
 *
 * 1. The output is there whole or not at all (base/staged_file.h), also when the program is stopped by a signal
 *    (cleanup.h): the file that is being written and the folder that sorting spills into are removed.
 * 2. Memory: one limit is divided between the engine that reads what is no Arrow, the engine that sorts,
 *    and the budget of batches and of the writer. Who is refused memory ends the row group and asks again. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/cleanup.h"
#include "cli/convert.h"
#include "cli/input.h"
#include "cli/progress.h"

enum { MEMORY_KEPT_BYTES = 256 << 20, READING_BYTES_MIN = 160 << 20, PATH_BYTES = 4096 };

static const char TEXT[] =
    "Writes a file in another format. What comes in (an Arrow stream or file, Parquet, CSV, "
    "NDJSON)\n"
    "is told as `ingest` tells it; what goes out is told by the suffix: .parquet, .arrow and "
    ".feather\n"
    "(an Arrow file), .arrows and .ipc (an Arrow stream). `-` is standard input, or output: an "
    "Arrow\n"
    "stream unless --to says otherwise. The output is there when it is whole, and not before; one\n"
    "that is there already is kept, unless --force is said. COLUMN is a column, or a field inside\n"
    "of one (address.city); options with a column may be given again for the next.\n"
    "\n"
    "Examples\n"
    "  arrowport convert flights.arrow flights.parquet\n"
    "  arrowport convert events.ndjson.gz events.parquet --sort time --bloom user_id\n"
    "  arrowport convert flights.parquet - | some-program\n"
    "  arrowport convert old.parquet stage.parquet --compatible --compression snappy\n"
    "  arrowport convert big.csv big.parquet --level 9 --encoding id=delta --row-group-rows "
    "250000\n";

struct convert {
  const struct cli *cli;
  struct convert_asked asked;
  struct server_config *config;
  struct budget budget;
  struct workers *workers;
  struct input input;
  struct source *source;
  struct staged_file *staged;
  struct convert_out *out;
  struct progress progress;
  int64_t rows;
};

/* ---- opening --------------------------------------------------------------------------------- */

/* What engines get of the memory limit; the rest is for batches and the writer. */
struct shares {
  int64_t reading_bytes, sorting_bytes;
};

static struct shares divide_memory(struct convert *convert) {
  int64_t all_bytes = convert->config->memory_limit_bytes;
  bool is_arrow =
      convert->input.kind == INPUT_ARROW_STREAM || convert->input.kind == INPUT_ARROW_FILE;
  /* DuckDB reads text in pieces of 32 MiB: with fewer than a handful of them it cannot begin. */
  struct shares shares = {.reading_bytes = is_arrow ? 0 : all_bytes / 4};
  if (!is_arrow && shares.reading_bytes < READING_BYTES_MIN)
    shares.reading_bytes =
        all_bytes / 8 * 5 < READING_BYTES_MIN ? all_bytes / 8 * 5 : READING_BYTES_MIN;
  if (convert->asked.sort_count > 0) shares.sorting_bytes = (all_bytes - shares.reading_bytes) / 2;
  convert->budget.limit_bytes = all_bytes - shares.reading_bytes - shares.sorting_bytes;
  return shares;
}

static enum status check_not_input(const struct convert *convert, struct error *error) {
  struct stat in, out;
  bool standard = strcmp(convert->asked.out, "-") == 0;
  if (fstat(convert->input.file, &in) != 0 || !S_ISREG(in.st_mode)) return STATUS_OK;
  if ((standard ? fstat(STDOUT_FILENO, &out) : stat(convert->asked.out, &out)) != 0)
    return STATUS_OK;
  if (in.st_dev != out.st_dev || in.st_ino != out.st_ino) return STATUS_OK;
  return error_set(error, STATUS_INVALID,
                   "'%s' is to be read and written at once; write to another name",
                   convert->input.name);
}

static enum status open_staged(struct convert *convert, struct error *error) {
  const char *out = convert->asked.out;
  if (strcmp(out, "-") == 0)
    return staged_open_descriptor(STDOUT_FILENO, "standard output", &convert->staged, error);
  cleanup_hold();
  enum status status = staged_open(out, cli_has(convert->cli, "force"), &convert->staged, error);
  if (status == STATUS_CONFLICT)
    status = error_set(error, status, "'%s' is there already; --force replaces it", out);
  if (status == STATUS_OK) status = cleanup_file(staged_path(convert->staged), error);
  cleanup_go();
  return status;
}

static enum status open_workers(struct convert *convert, struct error *error) {
  int threads = convert->config->threads;
  bool has_work = convert->asked.format == CONVERT_PARQUET ||
                  convert->asked.arrow.compression != IPC_COMPRESSION_NONE;
  if (threads == 0) threads = workers_cores();
  if (threads > WORKERS_LANES_MAX) threads = WORKERS_LANES_MAX;
  return has_work && threads > 1 ? workers_new(threads - 1, &convert->workers, error) : STATUS_OK;
}

static enum status open_source(struct convert *convert, int64_t memory_bytes, struct error *error) {
  const struct input_options options = {
      .budget = &convert->budget,
      .delimiter = cli_value(convert->cli, "delimiter"),
      .all_text = cli_has(convert->cli, "all-text"),
      .memory_limit_bytes = memory_bytes,
      .threads = convert->config->threads == 0 ? workers_cores() : convert->config->threads};
  return input_source(&convert->input, &options, &convert->source, error);
}

/* ---- sorting --------------------------------------------------------------------------------- */

static bool on_sorting(void *context, int64_t rows, double fraction) {
  struct convert *convert = context;
  progress_step(&convert->progress, rows, 0, fraction < 0 ? fraction : fraction / 2);
  return true;
}

/* A new folder, in $TMPDIR or /tmp, which goes when the program does. */
static enum status make_folder(char path[PATH_BYTES], struct error *error) {
  const char *parent = getenv("TMPDIR");
  if (parent == NULL || parent[0] == '\0') parent = "/tmp";
  int bytes = snprintf(path, PATH_BYTES, "%s/arrowport-sort-XXXXXX", parent);
  if (bytes < 0 || bytes >= PATH_BYTES)
    return error_set(error, STATUS_INVALID, "the path in $TMPDIR is too long");
  cleanup_hold();
  enum status status =
      mkdtemp(path) != NULL
          ? cleanup_folder(path, error)
          : error_set(error, STATUS_IO, "a folder to sort in cannot be made in '%s' ($TMPDIR): %s",
                      parent, strerror(errno));
  cleanup_go();
  return status;
}

static enum status sort(struct convert *convert, int64_t memory_bytes, struct error *error) {
  char folder[PATH_BYTES];
  struct source *sorted = NULL;
  const struct source_sort_options options = {.keys = convert->asked.sort,
                                              .key_count = convert->asked.sort_count,
                                              .spill_folder = folder,
                                              .memory_limit_bytes = memory_bytes,
                                              .threads = convert->config->threads,
                                              .budget = &convert->budget,
                                              .progress = on_sorting,
                                              .context = convert};
  enum status status = make_folder(folder, error);
  if (status == STATUS_OK) status = source_open_sorted(convert->source, &options, &sorted, error);
  if (status == STATUS_NOT_FOUND) error_at(error, "--sort");
  if (status != STATUS_OK) return status;
  source_close(convert->source);
  convert->source = sorted;
  return STATUS_OK;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void show(struct convert *convert) {
  double fraction = source_fraction(convert->source);
  if (convert->asked.sort_count > 0 && fraction >= 0) fraction = 0.5 + fraction / 2;
  progress_step(&convert->progress, convert->rows, staged_bytes(convert->staged), fraction);
}

static enum status advise(enum status status, struct error *error) {
  if (status != STATUS_BUDGET) return status;
  char said[ERROR_TEXT_BYTES];
  snprintf(said, sizeof said, "%.800s", error->text);
  return error_set(error, status, "%s; give it more by --memory-limit", said);
}

/* Memory was refused, for the reason in `error`: asks again once the row group has gone. When that does not
 * help the first reason is the one that is told: an engine that ran out of memory does not go on. */
static enum status read_again(struct convert *convert, struct ArrowArray *batch,
                              struct error *error) {
  struct error again;
  enum status status = convert_out_ease(convert->out, &again);
  if (status == STATUS_OK) status = source_next(convert->source, batch, &again);
  return status == STATUS_OK ? status : error->status;
}

static enum status copy_rows(struct convert *convert, struct error *error) {
  for (;;) {
    struct ArrowArray batch = {.release = NULL};
    enum status status = source_next(convert->source, &batch, error);
    if (status == STATUS_BUDGET) status = read_again(convert, &batch, error);
    if (status != STATUS_OK) return status;
    if (batch.release == NULL) return STATUS_OK;
    int64_t rows = batch.length;
    status = convert_out_add(convert->out, &batch, error);
    if (status == STATUS_BUDGET) {
      status = convert_out_ease(convert->out, error);
      if (status == STATUS_OK) status = convert_out_add(convert->out, &batch, error);
    }
    arrow_array_release(&batch);
    if (status != STATUS_OK) return status;
    convert->rows += rows;
    show(convert);
  }
}

static enum status finish(struct convert *convert, struct error *error) {
  enum status status = convert_out_finish(convert->out, error);
  if (status == STATUS_OK) status = staged_commit(convert->staged, error);
  if (status == STATUS_CONFLICT)
    status =
        error_set(error, status,
                  "'%s' has come to be there meanwhile, and is left as it is; --force replaces it",
                  convert->asked.out);
  return advise(status, error);
}

/* ---- the summary ----------------------------------------------------------------------------- */

static enum status add_summary(const struct convert *convert, struct text *line,
                               struct error *error) {
  char rows[CLI_NUMBER_BYTES], parts[CLI_NUMBER_BYTES];
  char in[MEMORY_TEXT_BYTES] = "", out[MEMORY_TEXT_BYTES];
  int64_t count = convert_out_parts(convert->out);
  bool is_parquet = convert->asked.format == CONVERT_PARQUET;
  if (convert->input.size_bytes >= 0)
    snprintf(in, sizeof in, "%.1f MB -> ", (double)convert->input.size_bytes / 1e6);
  snprintf(out, sizeof out, "%.1f MB", (double)staged_bytes(convert->staged) / 1e6);
  return text_add_format(
      line, error, "%s -> %s: %s row%s in %s %s, %s%s (%.2f s)\n", convert->input.name,
      strcmp(convert->asked.out, "-") == 0 ? "standard output" : convert->asked.out,
      cli_number(convert->rows, rows), convert->rows == 1 ? "" : "s", cli_number(count, parts),
      is_parquet ? (count == 1 ? "row group" : "row groups") : (count == 1 ? "batch" : "batches"),
      in, out, progress_seconds(&convert->progress));
}

static enum status add_json(const struct convert *convert, struct text *line, struct error *error) {
  enum status status = text_add_format(
      line, error, "{\"rows\":%" PRId64 ",\"%s\":%" PRId64 ",\"bytes_in\":", convert->rows,
      convert->asked.format == CONVERT_PARQUET ? "row_groups" : "batches",
      convert_out_parts(convert->out));
  if (status == STATUS_OK)
    status = convert->input.size_bytes < 0
                 ? text_add(line, "null", error)
                 : text_add_format(line, error, "%" PRId64, convert->input.size_bytes);
  if (status != STATUS_OK) return status;
  return text_add_format(line, error, ",\"bytes_out\":%" PRId64 ",\"seconds\":%.3f}\n",
                         staged_bytes(convert->staged), progress_seconds(&convert->progress));
}

static enum status report(const struct convert *convert, struct error *error) {
  struct text line = TEXT_EMPTY;
  bool to_output = strcmp(convert->asked.out, "-") != 0;
  enum status status = STATUS_OK;
  if (cli_has(convert->cli, "json"))
    status = add_json(convert, &line, error);
  else if (!cli_has(convert->cli, "quiet"))
    status = add_summary(convert, &line, error);
  if (status == STATUS_OK && to_output) status = cli_print(&line, error);
  if (status == STATUS_OK && !to_output) fputs(text_get(&line), stderr);
  text_release(&line);
  return status;
}

/* ---- the command ----------------------------------------------------------------------------- */

static enum status convert_file(struct convert *convert, struct error *error) {
  bool wanted = !cli_has(convert->cli, "quiet") && !cli_has(convert->cli, "json");
  enum status status =
      input_open(convert->asked.in, convert->asked.from, "--from", &convert->input, error);
  progress_begin(&convert->progress, convert->input.name, wanted);
  if (status == STATUS_OK) status = check_not_input(convert, error);
  if (status == STATUS_OK) status = open_staged(convert, error);
  if (status != STATUS_OK) return status;
  struct shares shares = divide_memory(convert);
  status = open_source(convert, shares.reading_bytes, error);
  if (status == STATUS_OK && convert->asked.sort_count > 0)
    status = sort(convert, shares.sorting_bytes, error);
  if (status == STATUS_OK) status = open_workers(convert, error);
  if (status == STATUS_OK)
    status = convert_out_open(&convert->asked, source_schema(convert->source), convert->staged,
                              &convert->budget, convert->workers, &convert->out, error);
  if (status == STATUS_OK) status = copy_rows(convert, error);
  if (status == STATUS_OK) status = finish(convert, error);
  progress_end(&convert->progress);
  return status == STATUS_OK ? report(convert, error) : advise(status, error);
}

static void release(struct convert *convert) {
  progress_end(&convert->progress);
  convert_out_free(convert->out);
  source_close(convert->source);
  input_close(&convert->input);
  workers_free(convert->workers);
  cleanup_remove_folder();
  staged_free(convert->staged);
  server_config_free(convert->config);
  convert_asked_release(&convert->asked);
}

static enum status run(const struct cli *cli, struct error *error) {
  struct convert convert = {.cli = cli, .input = {.file = -1, .size_bytes = -1}};
  enum status status = convert_ask(cli, &convert.asked, error);
  if (status == STATUS_OK) status = cli_config(cli, &convert.config, error);
  if (status == STATUS_OK) {
    buffer_keep_freed(MEMORY_KEPT_BYTES);
    signal(SIGPIPE, SIG_IGN); /* who reads our output may go: that is told, and nothing is left */
    status = cleanup_begin(error);
  }
  if (status == STATUS_OK) status = convert_file(&convert, error);
  release(&convert);
  cleanup_end();
  return status;
}

const struct cli_command COMMAND_CONVERT = {
    .name = "convert",
    .summary = "write Arrow, Parquet, CSV or NDJSON as Parquet or Arrow",
    .usage = "IN-FILE OUT-FILE",
    .text = TEXT,
    .options = CONVERT_OPTIONS,
    .arguments_min = 2,
    .arguments_max = 2,
    .run = run};
