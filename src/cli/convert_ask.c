/* The options of `convert`. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/config.h"
#include "cli/convert.h"
#include "cli/input.h"
#include "parquet/names.h"

#define TO_FORMATS "parquet|arrow|arrows"

const struct cli_option CONVERT_OPTIONS[] = {
    {"from", 0, INPUT_FORMATS, NULL, "what comes in (default: found out)"},
    {"to", 0, TO_FORMATS, NULL,
     "what goes out: arrow is a file, arrows a stream (default: by the suffix)"},
    {"compression", 0, "none|snappy|zstd|lz4|gzip", NULL,
     "default: zstd in Parquet, none in Arrow, which has none, lz4 and zstd"},
    {"level", 0, "N", NULL, "of zstd 1 to 22, of gzip 1 to 9, of lz4 in Arrow 1 to 12"},
    {"row-group-rows", 0, "N", NULL, "rows of a row group at most (default 1048576)"},
    {"row-group-bytes", 0, "SIZE", NULL, "bytes of a row group, roughly (default 128MiB)"},
    {"page-bytes", 0, "SIZE", NULL, "bytes of a data page before encoding (default 1MiB)"},
    {"page-version", 0, "1|2", NULL, "version of data pages (default 1)"},
    {"encoding", 0, "COLUMN=ENC", NULL,
     "plain, dictionary, delta, delta_length, delta_bytes, split, rle"},
    {"bloom", 0, "COLUMN", NULL, "a Bloom filter for the column; again for the next one"},
    {"sort", 0, "COLUMN[:desc][:nulls_first]", NULL,
     "sort the rows; again for what decides between equal ones"},
    {"metadata", 0, "KEY=VALUE", NULL, "say so in the file; again for the next one"},
    {"compatible", 0, NULL, NULL, "Parquet: only what old readers take"},
    {"no-arrow-schema", 0, NULL, NULL, "Parquet: leave out ARROW:schema, the exact Arrow types"},
    {"delimiter", 0, "TEXT", NULL, "CSV: what separates columns (default: found out)"},
    {"all-text", 0, NULL, NULL, "CSV: every column is text; otherwise types are found by looking"},
    {"threads", 0, "N", "threads", "that work (default: one for each processor)"},
    {"memory-limit", 0, "SIZE", "memory_limit",
     "for data on its way (default 1GB, or half of what there is)"},
    {"force", 0, NULL, NULL, "replace the output if it is there"},
    {"json", 0, NULL, NULL, "print the summary as JSON"},
    {"quiet", 'q', NULL, NULL, "print nothing but errors"},
    {NULL, 0, NULL, NULL, NULL}};

static const struct config_field NUMBERS[] = {
    {.name = "--level", .type = CONFIG_INTEGER, .min = 1, .max = 22},
    {.name = "--row-group-rows", .type = CONFIG_INTEGER, .min = 1, .max = (int64_t)1 << 31},
    {.name = "--row-group-bytes", .type = CONFIG_BYTES, .min = 1 << 16, .max = (int64_t)1 << 40},
    {.name = "--page-bytes", .type = CONFIG_BYTES, .min = 1 << 10, .max = (int64_t)1 << 30},
    {.name = "--page-version", .type = CONFIG_INTEGER, .min = 1, .max = 2},
    CONFIG_FIELD_END};

/* Those that say something about Parquet alone. */
static const char *const PARQUET_ONLY[] = {"row-group-rows", "row-group-bytes", "page-bytes",
                                           "page-version",   "encoding",        "bloom",
                                           "metadata",       "compatible",      "no-arrow-schema"};
enum { PARQUET_ONLY_COUNT = sizeof PARQUET_ONLY / sizeof PARQUET_ONLY[0] };

/* ---- format and compression --------------------------------------------------------------- */

static bool ends_with(const char *path, const char *suffix) {
  size_t bytes = strlen(path), tail = strlen(suffix);
  return bytes >= tail && strcasecmp(path + bytes - tail, suffix) == 0;
}

static enum status find_format(const struct cli *cli, struct convert_asked *asked,
                               struct error *error) {
  static const struct {
    const char *name; /* of --to; NULL: only a suffix */
    const char *suffix;
    enum convert_format format;
  } formats[] = {
      {"parquet", ".parquet", CONVERT_PARQUET},    {NULL, ".pq", CONVERT_PARQUET},
      {"arrow", ".arrow", CONVERT_ARROW_FILE},     {NULL, ".feather", CONVERT_ARROW_FILE},
      {"arrows", ".arrows", CONVERT_ARROW_STREAM}, {NULL, ".ipc", CONVERT_ARROW_STREAM}};
  const char *to = cli_value(cli, "to");
  for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
    bool is_it = to == NULL ? ends_with(asked->out, formats[i].suffix)
                            : formats[i].name != NULL && strcmp(to, formats[i].name) == 0;
    if (!is_it) continue;
    asked->format = formats[i].format;
    return STATUS_OK;
  }
  if (to != NULL)
    return error_set(error, STATUS_INVALID, "--to is '%.40s'; it must be one of %s", to,
                     TO_FORMATS);
  asked->format = CONVERT_ARROW_STREAM;
  if (strcmp(asked->out, "-") == 0) return STATUS_OK;
  return error_set(
      error, STATUS_INVALID,
      "what '%.300s' is to be cannot be told from its name: end it in .parquet, .arrow "
      "(a file) or .arrows (a stream), or say --to parquet, arrow or arrows",
      asked->out);
}

static enum status find_compression(const struct cli *cli, struct convert_asked *asked,
                                    struct error *error) {
  const char *name = cli_value(cli, "compression");
  bool is_parquet = asked->format == CONVERT_PARQUET;
  enum parquet_codec codec = is_parquet ? PARQUET_ZSTD : PARQUET_UNCOMPRESSED;
  if (name != NULL && !parquet_codec_parse(name, &codec))
    return error_set(error, STATUS_INVALID,
                     "--compression is '%.40s'; it must be one of none, snappy, zstd, lz4, gzip",
                     name);
  asked->parquet.codec = codec;
  if (is_parquet) return STATUS_OK;
  if (codec == PARQUET_SNAPPY || codec == PARQUET_GZIP)
    return error_set(error, STATUS_INVALID,
                     "--compression %s goes with Parquet; Arrow has none, lz4 and zstd", name);
  asked->arrow.compression = codec == PARQUET_ZSTD      ? IPC_COMPRESSION_ZSTD
                             : codec == PARQUET_LZ4_RAW ? IPC_COMPRESSION_LZ4
                                                        : IPC_COMPRESSION_NONE;
  return STATUS_OK;
}

static enum status check_level(const struct convert_asked *asked, int64_t level,
                               struct error *error) {
  enum parquet_codec codec = asked->parquet.codec;
  int level_max = codec == PARQUET_ZSTD                                          ? 22
                  : codec == PARQUET_GZIP                                        ? 9
                  : codec == PARQUET_LZ4_RAW && asked->format != CONVERT_PARQUET ? 12
                                                                                 : 0;
  if (level <= level_max) return STATUS_OK;
  if (level_max == 0)
    return error_set(error, STATUS_INVALID, "--level: %s has no levels here",
                     parquet_codec_name(codec));
  return error_set(error, STATUS_INVALID, "--level is %lld; %s has 1 to %d", (long long)level,
                   parquet_codec_name(codec), level_max);
}

static enum status find_numbers(const struct cli *cli, struct convert_asked *asked,
                                struct error *error) {
  struct config *config = NULL;
  enum status status = config_new(NUMBERS, &config, error);
  for (const struct config_field *field = NUMBERS; field->name != NULL && status == STATUS_OK;
       field++) {
    const char *given = cli_value(cli, field->name + 2);
    if (given != NULL) status = config_set(config, field->name, given, CONFIG_FLAG, error);
  }
  if (status == STATUS_OK) {
    struct parquet_options *parquet = &asked->parquet;
    if (config_has(config, "--row-group-rows"))
      parquet->row_group_rows = config_integer(config, "--row-group-rows");
    asked->has_row_group_bytes = config_has(config, "--row-group-bytes");
    if (asked->has_row_group_bytes)
      parquet->row_group_bytes = config_integer(config, "--row-group-bytes");
    if (config_has(config, "--page-bytes"))
      parquet->page_bytes = config_integer(config, "--page-bytes");
    if (config_has(config, "--page-version"))
      parquet->page_version = (int)config_integer(config, "--page-version");
    int64_t level = config_integer(config, "--level");
    parquet->level = asked->arrow.level = (int)level;
    if (level > 0) status = check_level(asked, level, error);
  }
  config_free(config);
  return status;
}

/* ---- columns --------------------------------------------------------------------------------- */

/* A copy that lives as long as `asked`, to be cut up. */
static char *copy_text(struct convert_asked *asked, const char *text, struct error *error) {
  char *copy = strdup(text);
  if (copy == NULL)
    error_set(error, STATUS_NOMEM, "no memory for options");
  else
    asked->texts[asked->text_count++] = copy;
  return copy;
}

/* The entry for a path: one, however many options name it. */
static struct parquet_column_options *column_of(struct convert_asked *asked, const char *path) {
  int64_t count = asked->parquet.column_count;
  for (int64_t i = 0; i < count; i++) {
    struct parquet_column_options *column = &asked->columns[i];
    assert(column->path != NULL); /* each that is counted has one */
    if (strcmp(column->path, path) == 0) return column;
  }
  asked->columns[count].path = path;
  asked->parquet.column_count++;
  return &asked->columns[count];
}

static enum status add_encoding(struct convert_asked *asked, const char *given,
                                struct error *error) {
  char *path = copy_text(asked, given, error);
  if (path == NULL) return STATUS_NOMEM;
  char *name = strrchr(path, '='); /* a column's name may have one in it */
  if (name == NULL || name == path)
    return error_set(error, STATUS_INVALID, "--encoding is '%.200s'; write --encoding COLUMN=delta",
                     given);
  *name++ = '\0';
  enum parquet_encoding encoding;
  if (!encode_parse(name, &encoding))
    return error_set(
        error, STATUS_INVALID,
        "--encoding: there is no encoding '%.40s'; there are plain, dictionary, delta, "
        "delta_length, delta_bytes, split and rle",
        name);
  struct parquet_column_options *column = column_of(asked, path);
  column->has_encoding = true;
  column->encoding = encoding;
  return STATUS_OK;
}

static enum status add_metadata(struct convert_asked *asked, const char *given,
                                struct error *error) {
  char *key = copy_text(asked, given, error);
  if (key == NULL) return STATUS_NOMEM;
  char *value = strchr(key, '=');
  if (value == NULL || value == key)
    return error_set(error, STATUS_INVALID, "--metadata is '%.200s'; write --metadata KEY=VALUE",
                     given);
  *value++ = '\0';
  asked->metadata[asked->parquet.metadata_count++] = (struct parquet_metadata_pair){key, value};
  return STATUS_OK;
}

static bool cut_suffix(char *text, const char *suffix) {
  size_t bytes = strlen(text), tail = strlen(suffix);
  if (bytes <= tail || strcmp(text + bytes - tail, suffix) != 0) return false;
  text[bytes - tail] = '\0';
  return true;
}

static enum status add_sort(struct convert_asked *asked, const char *given, struct error *error) {
  char *path = copy_text(asked, given, error);
  if (path == NULL) return STATUS_NOMEM;
  struct source_sort_key key = {.path = path};
  for (bool more = true; more;) {
    bool is_descending = cut_suffix(path, ":desc");
    bool nulls_first = cut_suffix(path, ":nulls_first");
    more =
        is_descending || nulls_first || cut_suffix(path, ":asc") || cut_suffix(path, ":nulls_last");
    key.is_descending = key.is_descending || is_descending;
    key.nulls_first = key.nulls_first || nulls_first;
  }
  if (path[0] == '\0')
    return error_set(error, STATUS_INVALID, "--sort names no column; write --sort COLUMN:desc");
  asked->sorting[asked->sort_count] =
      (struct parquet_sort_column){path, key.is_descending, key.nulls_first};
  asked->sort[asked->sort_count++] = key;
  asked->parquet.sorting_count = (int64_t)asked->sort_count;
  return STATUS_OK;
}

static enum status add_bloom(struct convert_asked *asked, const char *given, struct error *error) {
  (void)error;
  column_of(asked, given)->has_bloom = true;
  return STATUS_OK;
}

/* Options that are given as often as one likes. */
static enum status find_lists(const struct cli *cli, struct convert_asked *asked,
                              struct error *error) {
  static const struct {
    const char *name;
    enum status (*add)(struct convert_asked *asked, const char *given, struct error *error);
  } lists[] = {{"encoding", add_encoding},
               {"bloom", add_bloom},
               {"metadata", add_metadata},
               {"sort", add_sort}};
  size_t room = (size_t)cli->given_count + 1;
  asked->texts = calloc(room, sizeof asked->texts[0]);
  asked->columns = calloc(room, sizeof asked->columns[0]);
  asked->metadata = calloc(room, sizeof asked->metadata[0]);
  asked->sorting = calloc(room, sizeof asked->sorting[0]);
  asked->sort = calloc(room, sizeof asked->sort[0]);
  if (asked->texts == NULL || asked->columns == NULL || asked->metadata == NULL ||
      asked->sorting == NULL || asked->sort == NULL)
    return error_set(error, STATUS_NOMEM, "no memory for options");
  enum status status = STATUS_OK;
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
    const char *given;
    for (int at = 0; status == STATUS_OK && (given = cli_value_at(cli, lists[i].name, at)) != NULL;
         at++)
      status = lists[i].add(asked, given, error);
  }
  asked->parquet.columns = asked->columns;
  asked->parquet.metadata = asked->metadata;
  asked->parquet.sorting = asked->sorting;
  return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static enum status check_together(const struct cli *cli, const struct convert_asked *asked,
                                  struct error *error) {
  if (strcmp(asked->out, "-") == 0 && isatty(STDOUT_FILENO))
    return error_set(
        error, STATUS_INVALID,
        "the output is no text for a terminal; name a file, or send it on to a program");
  if (asked->format != CONVERT_PARQUET)
    for (size_t i = 0; i < PARQUET_ONLY_COUNT; i++)
      if (cli_has(cli, PARQUET_ONLY[i]))
        return error_set(error, STATUS_INVALID,
                         "--%s goes with Parquet, and what goes out is Arrow", PARQUET_ONLY[i]);
  if (asked->parquet.compatible && cli_has(cli, "page-version") && asked->parquet.page_version != 1)
    return error_set(error, STATUS_INVALID,
                     "--compatible files have pages of version 1: leave out --page-version");
  return STATUS_OK;
}

enum status convert_ask(const struct cli *cli, struct convert_asked *asked, struct error *error) {
  *asked = (struct convert_asked){.in = cli->arguments[0],
                                  .out = cli->arguments[1],
                                  .from = cli_value(cli, "from"),
                                  .parquet = PARQUET_OPTIONS_DEFAULT};
  enum status status = find_format(cli, asked, error);
  if (status == STATUS_OK) status = find_compression(cli, asked, error);
  if (status == STATUS_OK) status = find_numbers(cli, asked, error);
  if (status == STATUS_OK) status = find_lists(cli, asked, error);
  asked->parquet.compatible = cli_has(cli, "compatible");
  asked->parquet.no_arrow_schema = cli_has(cli, "no-arrow-schema");
  asked->arrow.format = asked->format == CONVERT_ARROW_FILE ? IPC_FORMAT_FILE : IPC_FORMAT_STREAM;
  return status == STATUS_OK ? check_together(cli, asked, error) : status;
}

void convert_asked_release(struct convert_asked *asked) {
  for (size_t i = 0; i < asked->text_count; i++) free(asked->texts[i]);
  free(asked->texts);
  free(asked->columns);
  free(asked->metadata);
  free(asked->sorting);
  free(asked->sort);
}
