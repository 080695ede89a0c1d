/* The report for people: what it is, its schema as a tree, its messages and what they sum up
 * to, metadata, and at the end what is wrong, where, and what could be read all the same.
 * All text of the input goes through grids, which make control characters visible. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/schema.h"
#include "cli/cli.h"
#include "cli/inspect.h"

enum {
  VALUE_SHOWN_BYTES = 120, /* of a value of metadata */
  NAME_SHOWN_BYTES = 100,
  TYPE_SHOWN_BYTES = 160,
  TREE_COLUMNS = 4,
  METADATA_COLUMNS = 3
};

static const char EXTENSION_NAME[] = "ARROW:extension:name";

struct text_report {
  struct inspect_report report;
  bool has_schema; /* it was printed */
  struct grid *messages;
  struct grid *metadata;
  int64_t listed;
  int64_t listed_broken; /* behind those */
};

/* ---- pieces ---------------------------------------------------------------------------- */

/* "12.3 MiB (12,884,901 bytes)" */
static enum status add_size(struct text *out, int64_t bytes, struct error *error) {
  static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  char number[CLI_NUMBER_BYTES];
  cli_number(bytes, number);
  if (bytes < 1024) return text_add_format(out, error, "%s byte%s", number, bytes == 1 ? "" : "s");
  double size = (double)bytes / 1024;
  size_t unit = 0;
  for (; size >= 1024 && unit + 1 < sizeof units / sizeof units[0]; unit++) size /= 1024;
  return text_add_format(out, error, "%.1f %s (%s bytes)", size, units[unit], number);
}

static enum status add_count(struct text *out, int64_t count, const char *one, const char *many,
                             struct error *error) {
  char number[CLI_NUMBER_BYTES];
  return text_add_format(out, error, "%s %s", cli_number(count, number), count == 1 ? one : many);
}

static enum status add_number(struct grid *grid, int64_t number, struct error *error) {
  char text[CLI_NUMBER_BYTES];
  return grid_add_text(grid, cli_number(number, text), error);
}

/* `bytes` of `data` as a cell, at most `most` of them. */
static enum status add_cut(struct grid *grid, const char *data, size_t bytes, size_t most,
                           struct error *error) {
  if (bytes <= most) return grid_add(grid, data, bytes, error);
  size_t kept = most;
  while (kept > most - 4 && ((unsigned char)data[kept] & 0xC0) == 0x80) kept--;
  struct text cell = TEXT_EMPTY;
  char number[CLI_NUMBER_BYTES];
  enum status status = text_add_bytes(&cell, data, kept, error);
  if (status == STATUS_OK)
    status = text_add_format(&cell, error, "\xE2\x80\xA6 (%s bytes)",
                             cli_number((int64_t)bytes, number));
  if (status == STATUS_OK) status = grid_add(grid, cell.data, cell.size_bytes, error);
  text_release(&cell);
  return status;
}

/* Appends a grid, and an empty line before it. */
static enum status add_grid(struct grid *grid, size_t columns, struct text *out,
                            struct error *error) {
  size_t shown = columns;
  enum status status = grid_fit(grid, cli_terminal_width(), &shown, error);
  if (status == STATUS_OK) status = text_add(out, "\n", error);
  if (status == STATUS_OK) status = grid_print(grid, cli_terminal_width(), out, error);
  if (status != STATUS_OK || shown == columns) return status;
  return text_add_format(out, error, "(%zu more columns, for a wider terminal)\n", columns - shown);
}

/* Text of the input in a line of its own. */
static enum status add_line(struct text *out, const char *before, const char *line,
                            struct error *error) {
  struct text visible = TEXT_EMPTY;
  struct grid *grid = NULL;
  enum status status = grid_new(1, &grid, error);
  if (status == STATUS_OK) status = grid_add_text(grid, line, error);
  if (status == STATUS_OK) status = grid_print(grid, 0, &visible, error);
  if (status == STATUS_OK) status = text_add(out, before, error);
  if (status == STATUS_OK) {
    size_t bytes = strcspn(text_get(&visible), "\n"); /* without the rule below a head */
    status = text_add_bytes(out, text_get(&visible), bytes, error);
  }
  if (status == STATUS_OK) status = text_add(out, "\n", error);
  grid_free(grid);
  text_release(&visible);
  return status;
}

/* ---- metadata -------------------------------------------------------------------------- */

static enum status add_metadata(struct text_report *report, const char *where, const char *metadata,
                                struct error *error) {
  struct inspect_pairs pairs = inspect_pairs(metadata);
  enum status status = STATUS_OK;
  while (status == STATUS_OK && inspect_pair_next(&pairs)) {
    status = add_cut(report->metadata, where, strlen(where), NAME_SHOWN_BYTES, error);
    if (status == STATUS_OK)
      status =
          add_cut(report->metadata, pairs.key, (size_t)pairs.key_bytes, NAME_SHOWN_BYTES, error);
    if (status == STATUS_OK)
      status = add_cut(report->metadata, pairs.value, (size_t)pairs.value_bytes, VALUE_SHOWN_BYTES,
                       error);
  }
  return status;
}

/* ---- the schema ------------------------------------------------------------------------- */

struct tree {
  struct text_report *report;
  struct grid *grid;
  const int64_t *ids; /* of the dictionaries to come */
  int64_t ids_left;
  int64_t shown;
  int64_t shown_max;
  int64_t skipped;
};

/* A type without its children, which have lines of their own. */
static enum status add_type(struct grid *grid, const struct ArrowSchema *field,
                            struct error *error) {
  struct text type = TEXT_EMPTY;
  struct ArrowSchema values;
  struct ArrowSchema alone = *field;
  alone.n_children = 0;
  if (field->dictionary != NULL) {
    values = *field->dictionary;
    values.n_children = 0;
    alone.dictionary = &values;
  }
  enum status status = arrow_type_print(&alone, &type, error);
  if (status == STATUS_OK && type.size_bytes >= 2 &&
      strcmp(type.data + type.size_bytes - 2, "<>") == 0)
    type.size_bytes -= 2; /* "struct<>" */
  if (status == STATUS_OK)
    status = add_cut(grid, text_get(&type), type.size_bytes, TYPE_SHOWN_BYTES, error);
  text_release(&type);
  return status;
}

static enum status add_about(struct tree *tree, const struct ArrowSchema *field, int64_t id,
                             struct error *error) {
  struct text about = TEXT_EMPTY;
  struct inspect_pairs pairs = inspect_pairs(field->metadata);
  enum status status = STATUS_OK;
  if (field->dictionary != NULL)
    status =
        text_add_format(&about, error, "dictionary %" PRId64 "%s", id,
                        (field->flags & ARROW_FLAG_DICTIONARY_ORDERED) != 0 ? ", ordered" : "");
  if (status == STATUS_OK && (field->flags & ARROW_FLAG_MAP_KEYS_SORTED) != 0)
    status = text_add(&about, "keys sorted", error);
  while (status == STATUS_OK && inspect_pair_next(&pairs)) {
    if ((size_t)pairs.key_bytes != sizeof EXTENSION_NAME - 1 ||
        memcmp(pairs.key, EXTENSION_NAME, sizeof EXTENSION_NAME - 1) != 0)
      continue;
    int bytes = pairs.value_bytes < NAME_SHOWN_BYTES ? pairs.value_bytes : NAME_SHOWN_BYTES;
    status = text_add(&about, about.size_bytes > 0 ? ", extension " : "extension ", error);
    if (status == STATUS_OK) status = text_add_bytes(&about, pairs.value, (size_t)bytes, error);
  }
  if (status == STATUS_OK) status = grid_add(tree->grid, text_get(&about), about.size_bytes, error);
  text_release(&about);
  return status;
}

/* Returns the field's dictionary's id. */
static int64_t next_id(struct tree *tree, const struct ArrowSchema *field) {
  if (field->dictionary == NULL || tree->ids_left == 0) return 0;
  tree->ids_left--;
  return *tree->ids++;
}

static enum status add_field(struct tree *tree, const struct ArrowSchema *field, int depth,
                             const char *path, struct error *error);

static enum status add_fields(struct tree *tree, const struct ArrowSchema *parent, int depth,
                              const char *path, struct error *error) {
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < parent->n_children && status == STATUS_OK; i++)
    status = add_field(tree, parent->children[i], depth, path, error);
  return status;
}

static enum status add_field_line(struct tree *tree, const struct ArrowSchema *field, int depth,
                                  int64_t id, struct error *error) {
  struct text name = TEXT_EMPTY;
  enum status status =
      text_add_format(&name, error, "%*s%s", 2 * depth, "", field->name == NULL ? "" : field->name);
  if (status == STATUS_OK)
    status = add_cut(tree->grid, name.data, name.size_bytes, NAME_SHOWN_BYTES + 2 * (size_t)depth,
                     error);
  if (status == STATUS_OK) status = add_type(tree->grid, field, error);
  if (status == STATUS_OK)
    status =
        grid_add_text(tree->grid, (field->flags & ARROW_FLAG_NULLABLE) != 0 ? "yes" : "no", error);
  if (status == STATUS_OK) status = add_about(tree, field, id, error);
  text_release(&name);
  return status;
}

static enum status add_field(struct tree *tree, const struct ArrowSchema *field, int depth,
                             const char *path, struct error *error) {
  struct text own = TEXT_EMPTY;
  int64_t id = next_id(tree, field);
  enum status status = STATUS_OK;
  if (tree->shown == tree->shown_max) {
    tree->skipped++;
  } else {
    tree->shown++;
    status = add_field_line(tree, field, depth, id, error);
    if (status == STATUS_OK)
      status = text_add_format(&own, error, "%s%s%.100s", path, path[0] == '\0' ? "" : ".",
                               field->name == NULL ? "" : field->name);
    if (status == STATUS_OK)
      status = add_metadata(tree->report, text_get(&own), field->metadata, error);
  }
  if (status == STATUS_OK && field->dictionary != NULL)
    status = add_fields(tree, field->dictionary, depth + 1, text_get(&own), error);
  if (status == STATUS_OK) status = add_fields(tree, field, depth + 1, text_get(&own), error);
  text_release(&own);
  return status;
}

static enum status add_schema(struct text_report *report, const struct inspect *inspect,
                              struct text *out, struct error *error) {
  static const char *const heads[TREE_COLUMNS] = {"field", "type", "nullable", "about"};
  struct tree tree = {.report = report,
                      .ids = inspect->schema.dictionary_ids,
                      .ids_left = inspect->schema.dictionary_count,
                      .shown_max = inspect->options.fields_max};
  enum status status = grid_new(TREE_COLUMNS, &tree.grid, error);
  for (size_t i = 0; i < TREE_COLUMNS && status == STATUS_OK; i++)
    status = grid_add_text(tree.grid, heads[i], error);
  if (status == STATUS_OK)
    status = add_metadata(report, "(schema)", inspect->schema.schema.metadata, error);
  if (status == STATUS_OK) status = add_fields(&tree, &inspect->schema.schema, 0, "", error);
  if (status == STATUS_OK) status = add_grid(tree.grid, TREE_COLUMNS, out, error);
  if (status == STATUS_OK && tree.skipped > 0)
    status =
        text_add_format(out, error, "(%" PRId64 " more fields; --all lists them)\n", tree.skipped);
  grid_free(tree.grid);
  return status;
}

/* ---- the head --------------------------------------------------------------------------- */

static enum status add_head(const struct inspect *inspect, struct text *out, struct error *error) {
  enum status status = add_line(out, "", inspect->name, error);
  if (status == STATUS_OK)
    status = text_add(out,
                      inspect->is_file              ? "Arrow IPC file"
                      : inspect->schema.version > 0 ? "Arrow IPC stream"
                                                    : "read as an Arrow IPC stream",
                      error);
  if (status == STATUS_OK && inspect->schema.version > 0)
    status = text_add_format(out, error, ", metadata V%d, %s-endian%s", inspect->schema.version,
                             inspect->schema.big_endian ? "big" : "little",
                             inspect->legacy ? ", framed as before format 0.15" : "");
  if (status == STATUS_OK && !inspect->piped) {
    status = text_add(out, ", ", error);
    if (status == STATUS_OK) status = add_size(out, inspect->size_bytes, error);
  }
  return status == STATUS_OK ? text_add(out, "\n", error) : status;
}

/* The head and the schema, once. */
static enum status print_schema(struct text_report *report, const struct inspect *inspect,
                                struct error *error) {
  struct text out = TEXT_EMPTY;
  report->has_schema = true;
  enum status status = add_head(inspect, &out, error);
  if (status == STATUS_OK && inspect->schema.schema.release != NULL)
    status = add_schema(report, inspect, &out, error);
  if (status == STATUS_OK) status = cli_print(&out, error);
  text_release(&out);
  return status;
}

/* ---- messages --------------------------------------------------------------------------- */

/* What matters most comes first: a narrow terminal leaves the last ones out. */
static const char *const message_heads[] = {"#",        "message", "checked", "at byte",
                                            "metadata", "body",    "rows",    "uncompressed",
                                            "codec",    "buffers", "aligned"};
enum { MESSAGE_COLUMNS = sizeof message_heads / sizeof message_heads[0] };

static enum status add_kind(struct grid *grid, const struct inspect_message *message,
                            struct error *error) {
  const struct ipc_description *description = message->description;
  char kind[64];
  if (description->kind == IPC_MESSAGE_DICTIONARY)
    snprintf(kind, sizeof kind, "%s %" PRId64 "%s", inspect_kind_name(description),
             description->dictionary_id, message->replaces ? " anew" : "");
  else
    snprintf(kind, sizeof kind, "%s", inspect_kind_name(description));
  return grid_add_text(grid, kind, error);
}

/* A number, or nothing for a message that has none. */
static enum status add_if(struct grid *grid, bool has, int64_t number, struct error *error) {
  return has ? add_number(grid, number, error) : grid_add_text(grid, "", error);
}

static enum status add_message(struct grid *grid, const struct inspect_message *message,
                               struct error *error) {
  static const char *const verdicts[] = {
      [INSPECT_UNCHECKED] = "no", [INSPECT_GOOD] = "good", [INSPECT_BROKEN] = "BROKEN"};
  const struct ipc_description *description = message->description;
  bool has_body =
      description->kind == IPC_MESSAGE_DICTIONARY || description->kind == IPC_MESSAGE_BATCH;
  bool compressed = description->compression != IPC_COMPRESSION_NONE;
  enum status status = add_number(grid, message->index, error);
  if (status == STATUS_OK) status = add_kind(grid, message, error);
  if (status == STATUS_OK) status = grid_add_text(grid, verdicts[message->verdict], error);
  if (status == STATUS_OK) status = add_number(grid, message->offset_bytes, error);
  if (status == STATUS_OK) status = add_number(grid, description->metadata_bytes, error);
  if (status == STATUS_OK) status = add_number(grid, description->body_bytes, error);
  if (status == STATUS_OK) status = add_if(grid, has_body, description->rows, error);
  if (status == STATUS_OK) status = add_if(grid, compressed, description->expanded_bytes, error);
  if (status == STATUS_OK)
    status =
        grid_add_text(grid, compressed ? inspect_codec_name(description->compression) : "", error);
  if (status == STATUS_OK) status = add_if(grid, has_body, description->buffer_count, error);
  return status == STATUS_OK ? add_if(grid, has_body, description->alignment_bytes, error) : status;
}

static enum status text_message(struct inspect_report *base, const struct inspect *inspect,
                                const struct inspect_message *message, struct error *error) {
  struct text_report *report = (struct text_report *)base;
  char where[40];
  enum status status = STATUS_OK;
  if (!report->has_schema) status = print_schema(report, inspect, error);
  /* The first ones, and of those behind them the first broken ones. */
  int64_t *listed =
      report->listed == inspect->options.messages_max && message->verdict == INSPECT_BROKEN
          ? &report->listed_broken
          : &report->listed;
  if (status != STATUS_OK || *listed == inspect->options.messages_max) return status;
  ++*listed;
  snprintf(where, sizeof where, "(message %" PRId64 ")", message->index);
  status = add_message(report->messages, message, error);
  return status == STATUS_OK ? add_metadata(report, where, message->description->metadata, error)
                             : status;
}

/* ---- the end ---------------------------------------------------------------------------- */

static enum status add_totals(const struct inspect *inspect, struct text *out,
                              struct error *error) {
  const struct inspect_totals *totals = &inspect->totals;
  enum status status = text_add(out, "\n", error);
  if (status == STATUS_OK) status = add_count(out, totals->batches, "batch", "batches", error);
  if (status == STATUS_OK) status = text_add(out, ", ", error);
  if (status == STATUS_OK) status = add_count(out, totals->rows, "row", "rows", error);
  if (status == STATUS_OK) status = text_add(out, ", ", error);
  if (status == STATUS_OK)
    status = add_count(out, totals->dictionaries, "dictionary", "dictionaries", error);
  if (status == STATUS_OK && totals->deltas + totals->replacements > 0)
    status = text_add_format(out, error, " (%" PRId64 " of them deltas, %" PRId64 " replacements)",
                             totals->deltas, totals->replacements);
  if (status == STATUS_OK) status = text_add(out, "\nmetadata: ", error);
  if (status == STATUS_OK) status = add_size(out, totals->metadata_bytes, error);
  if (status == STATUS_OK) status = text_add(out, "\nbodies: ", error);
  if (status == STATUS_OK) status = add_size(out, totals->body_bytes, error);
  if (status == STATUS_OK && totals->compressed_messages > 0) {
    status = text_add(out, "; buffers: ", error);
    if (status == STATUS_OK) status = add_size(out, totals->buffer_bytes, error);
    if (status == STATUS_OK) status = text_add(out, ", before compression ", error);
    if (status == STATUS_OK) status = add_size(out, totals->expanded_bytes, error);
    if (status == STATUS_OK && totals->buffer_bytes > 0)
      status = text_add_format(out, error, ", ratio %.2f",
                               (double)totals->expanded_bytes / (double)totals->buffer_bytes);
  }
  if (status == STATUS_OK && inspect->piped) {
    status = text_add(out, "\nread: ", error);
    if (status == STATUS_OK) status = add_size(out, inspect->size_bytes, error);
  }
  if (status == STATUS_OK && inspect->footer.offset_bytes > 0) {
    status = text_add_format(out, error, "\nfooter: at byte %" PRId64 ", ",
                             inspect->footer.offset_bytes);
    if (status == STATUS_OK) status = add_size(out, inspect->footer.size_bytes, error);
  }
  return status == STATUS_OK ? text_add(out, "\n", error) : status;
}

static enum status add_salvage(const struct inspect *inspect, struct text *out,
                               struct error *error) {
  const struct inspect_salvage *found = &inspect->salvage;
  char number[CLI_NUMBER_BYTES];
  enum status status = text_add(out, "  without the footer: ", error);
  if (status == STATUS_OK)
    status = add_count(out, found->batches, "whole batch", "whole batches", error);
  if (status == STATUS_OK)
    status = text_add_format(out, error, " from byte 8 to byte %s; then %s\n",
                             cli_number(found->end_bytes, number),
                             found->stop[0] != '\0' ? "this:"
                             : inspect->has_end     ? "comes the end-of-stream marker"
                                                    : "comes the footer");
  return status == STATUS_OK && found->stop[0] != '\0' ? add_line(out, "    ", found->stop, error)
                                                       : status;
}

static enum status add_verdict(const struct inspect *inspect, struct text *out,
                               struct error *error) {
  const struct inspect_problem *problem = &inspect->problem;
  char number[CLI_NUMBER_BYTES];
  char head[80];
  if (problem->status == STATUS_OK && inspect->options.check)
    return text_add(out, "\nWhole: every message was decoded and checked.\n", error);
  if (problem->status == STATUS_OK)
    return text_add(out, "\nNo defect seen; values were not checked.\n", error);
  snprintf(head, sizeof head, "\n%s at byte %s (0x%" PRIX64 ")\n  ",
           problem->status == STATUS_UNSUPPORTED ? "NOT SUPPORTED"
           : problem->status == STATUS_TOO_LARGE ? "TOO LARGE"
           : problem->status == STATUS_BUDGET    ? "NO MEMORY"
                                                 : "BROKEN",
           cli_number(problem->offset_bytes, number), (uint64_t)problem->offset_bytes);
  enum status status = add_line(out, head, problem->text, error);
  if (status == STATUS_OK && inspect->hint[0] != '\0')
    status = add_line(out, "  ", inspect->hint, error);
  if (status == STATUS_OK && inspect->place.end_bytes > 0)
    status = text_add_format(
        out, error,
        "  message %" PRId64 ": prefix at byte %" PRId64 ", metadata at byte %" PRId64
        ", body at byte %" PRId64 ", ends at byte %" PRId64 "\n",
        inspect->place.index, inspect->place.offset_bytes, inspect->place.metadata_offset_bytes,
        inspect->place.body_offset_bytes, inspect->place.end_bytes);
  if (status == STATUS_OK && inspect->salvage.done) status = add_salvage(inspect, out, error);
  return status;
}

static enum status text_end(struct inspect_report *base, const struct inspect *inspect,
                            struct error *error) {
  struct text_report *report = (struct text_report *)base;
  struct text out = TEXT_EMPTY;
  int64_t left = inspect->totals.messages - report->listed - report->listed_broken;
  enum status status = STATUS_OK;
  if (!report->has_schema) status = print_schema(report, inspect, error);
  if (status == STATUS_OK && grid_rows(report->messages) > 0)
    status = add_grid(report->messages, MESSAGE_COLUMNS, &out, error);
  if (status == STATUS_OK && left > 0)
    status = text_add_format(&out, error, "(%" PRId64 " more messages; --all lists them)\n", left);
  if (status == STATUS_OK) status = add_metadata(report, "(footer)", inspect->file.metadata, error);
  if (status == STATUS_OK && grid_rows(report->metadata) > 0)
    status = add_grid(report->metadata, METADATA_COLUMNS, &out, error);
  if (status == STATUS_OK) status = add_totals(inspect, &out, error);
  if (status == STATUS_OK && inspect->note[0] != '\0')
    status = add_line(&out, "\nNote: ", inspect->note, error);
  if (status == STATUS_OK) status = add_verdict(inspect, &out, error);
  if (status == STATUS_OK) status = cli_print(&out, error);
  text_release(&out);
  return status;
}

static void text_free(struct inspect_report *base) {
  struct text_report *report = (struct text_report *)base;
  grid_free(report->messages);
  grid_free(report->metadata);
  free(report);
}

static const struct inspect_report_type type = {
    .message = text_message, .end = text_end, .free = text_free};

enum status inspect_text_new(struct inspect_report **report, struct error *error) {
  static const char *const metadata_heads[METADATA_COLUMNS] = {"metadata of", "key", "value"};
  static const size_t numbers[] = {0, 3, 4, 5, 6, 7, 9, 10};
  struct text_report *made = calloc(1, sizeof *made);
  if (made == NULL) return error_set(error, STATUS_NOMEM, "no memory for a report");
  made->report.type = &type;
  enum status status = grid_new(MESSAGE_COLUMNS, &made->messages, error);
  for (size_t i = 0; i < MESSAGE_COLUMNS && status == STATUS_OK; i++)
    status = grid_add_text(made->messages, message_heads[i], error);
  if (status == STATUS_OK) status = grid_new(METADATA_COLUMNS, &made->metadata, error);
  for (size_t i = 0; i < METADATA_COLUMNS && status == STATUS_OK; i++)
    status = grid_add_text(made->metadata, metadata_heads[i], error);
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && status == STATUS_OK; i++)
    grid_align_right(made->messages, numbers[i]);
  if (status == STATUS_OK)
    *report = &made->report;
  else
    text_free(&made->report);
  return status;
}
