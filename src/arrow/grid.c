/* All cells are kept until the table is printed: how wide a column is, its last row may say. */
#include "arrow/grid.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELL_WIDTH_MIN = 8, SEPARATOR_WIDTH = 3, TYPE_WIDTH_MAX = 24 };

const char *grid_number(int64_t number, char text[GRID_NUMBER_BYTES]) {
  char digits[GRID_NUMBER_BYTES];
  int count = snprintf(digits, sizeof digits, "%lld", (long long)number);
  char *to = text;
  for (int i = 0; i < count; i++) {
    if (i > 0 && digits[i - 1] != '-' && (count - i) % 3 == 0) *to++ = ',';
    *to++ = digits[i];
  }
  *to = '\0';
  return text;
}

struct grid {
  size_t columns;
  size_t shown; /* columns, from the first on */
  size_t heads; /* rows */
  bool *right;
  char **cells; /* row by row, the heads first */
  size_t count;
  size_t capacity;
};

enum status grid_new(size_t columns, struct grid **grid, struct error *error) {
  struct grid *made = calloc(1, sizeof *made);
  if (made != NULL) made->right = calloc(columns + 1, sizeof made->right[0]);
  if (made == NULL || made->right == NULL) {
    free(made);
    return error_set(error, STATUS_NOMEM, "no memory for a table");
  }
  made->columns = columns;
  made->shown = columns;
  made->heads = 1;
  *grid = made;
  return STATUS_OK;
}

void grid_free(struct grid *grid) {
  if (grid == NULL) return;
  for (size_t i = 0; i < grid->count; i++) free(grid->cells[i]);
  free(grid->cells);
  free(grid->right);
  free(grid);
}

void grid_align_right(struct grid *grid, size_t column) { grid->right[column] = true; }

void grid_set_heads(struct grid *grid, size_t rows) { grid->heads = rows; }

size_t grid_rows(const struct grid *grid) {
  size_t rows = grid->columns == 0 ? 0 : grid->count / grid->columns;
  return rows < grid->heads ? 0 : rows - grid->heads;
}

/* Columns that a character takes: two for the wide scripts of East Asia and pictures,
 * none for combining marks. By ranges, not by wcwidth, which needs a locale. */
static size_t code_width(uint32_t code) {
  if (code >= 0x300 && code <= 0x36F) return 0;
  bool wide = (code >= 0x1100 && code <= 0x115F) || (code >= 0x2E80 && code <= 0xA4CF) ||
              (code >= 0xAC00 && code <= 0xD7A3) || (code >= 0xF900 && code <= 0xFAFF) ||
              (code >= 0xFE30 && code <= 0xFE6F) || (code >= 0xFF00 && code <= 0xFF60) ||
              (code >= 0x1F300 && code <= 0x1FAFF) || (code >= 0x20000 && code <= 0x3FFFD);
  return wide ? 2 : 1;
}

static size_t text_width(const char *string) {
  size_t width = 0;
  for (size_t left = strlen(string); left > 0;) {
    uint32_t code = 0;
    size_t length = utf8_code_point((const uint8_t *)string, left, &code);
    if (length == 0) return width; /* cannot be: cells are made of whole characters */
    width += code_width(code);
    string += length;
    left -= length;
  }
  return width;
}

enum status grid_add(struct grid *grid, const char *data, size_t bytes, struct error *error) {
  struct text cell = TEXT_EMPTY;
  enum status status = text_add(&cell, "", error);
  if (status == STATUS_OK) status = text_add_visible(&cell, data, bytes, false, error);
  if (status == STATUS_OK && grid->count == grid->capacity) {
    size_t capacity = grid->capacity == 0 ? 64 : grid->capacity * 2;
    char **cells = realloc(grid->cells, capacity * sizeof cells[0]);
    if (cells == NULL) {
      status = error_set(error, STATUS_NOMEM, "no memory for a table");
    } else {
      grid->cells = cells;
      grid->capacity = capacity;
    }
  }
  if (status == STATUS_OK)
    grid->cells[grid->count++] = cell.data;
  else
    text_release(&cell);
  return status;
}

enum status grid_add_text(struct grid *grid, const char *string, struct error *error) {
  return grid_add(grid, string, string == NULL ? 0 : strlen(string), error);
}

/* Of each column's widest cell, unless that is what stands under its name: a type does not
 * make room for itself. STATUS_NOMEM only. */
static enum status measure(const struct grid *grid, size_t **widths, struct error *error) {
  *widths = calloc(grid->columns, sizeof widths[0][0]);
  if (*widths == NULL) return error_set(error, STATUS_NOMEM, "no memory for a table");
  for (size_t i = 0; i < grid->count; i++) {
    size_t own = text_width(grid->cells[i]);
    size_t *width = &widths[0][i % grid->columns];
    bool is_type = i >= grid->columns && i < grid->heads * grid->columns;
    if (is_type && own > TYPE_WIDTH_MAX) own = TYPE_WIDTH_MAX;
    if (own > *width) *width = own;
  }
  return STATUS_OK;
}

/* Makes the widest columns narrower until a line fits, none below CELL_WIDTH_MIN; a single
 * one whatever it takes. */
static void shrink(size_t *widths, size_t columns, size_t room) {
  size_t least = columns == 1 ? 1 : CELL_WIDTH_MIN;
  size_t total = (columns - 1) * SEPARATOR_WIDTH;
  for (size_t i = 0; i < columns; i++) total += widths[i];
  while (total > room) {
    size_t widest = 0;
    for (size_t i = 1; i < columns; i++)
      if (widths[i] > widths[widest]) widest = i;
    if (widths[widest] <= least) return;
    widths[widest]--;
    total--;
  }
}

enum status grid_fit(struct grid *grid, size_t width, size_t *shown, struct error *error) {
  *shown = grid->columns;
  if (width == 0 || grid->columns == 0) return STATUS_OK;
  size_t *widths = NULL;
  enum status status = measure(grid, &widths, error);
  if (status != STATUS_OK) return status;
  size_t total = 0;
  for (grid->shown = 0; grid->shown < grid->columns; grid->shown++) {
    size_t least = widths[grid->shown] < CELL_WIDTH_MIN ? widths[grid->shown] : CELL_WIDTH_MIN;
    total += least + (grid->shown == 0 ? 0 : SEPARATOR_WIDTH);
    if (total > width && grid->shown > 0) break;
  }
  free(widths);
  *shown = grid->shown;
  return STATUS_OK;
}

/* As much of a cell as fits, and an ellipsis where that is not all. */
static enum status add_cut(struct text *out, const char *string, size_t width,
                           struct error *error) {
  size_t used = 0;
  size_t bytes = 0;
  for (size_t left = strlen(string); left > 0;) {
    uint32_t code = 0;
    size_t length = utf8_code_point((const uint8_t *)string + bytes, left, &code);
    if (length == 0 || used + code_width(code) > width - 1) break;
    used += code_width(code);
    bytes += length;
    left -= length;
  }
  enum status status = text_add_bytes(out, string, bytes, error);
  if (status == STATUS_OK) status = text_add(out, "\xE2\x80\xA6", error);
  for (used++; used < width && status == STATUS_OK; used++) status = text_add(out, " ", error);
  return status;
}

static enum status add_cell(struct text *out, const char *string, size_t width, bool right,
                            bool last, struct error *error) {
  size_t own = text_width(string);
  if (own > width) return add_cut(out, string, width, error);
  int padding = (int)(width - own);
  if (right) return text_add_format(out, error, "%*s%s", padding, "", string);
  return text_add_format(out, error, "%s%*s", string, last ? 0 : padding, "");
}

static enum status add_rule(struct text *out, const size_t *widths, size_t columns,
                            struct error *error) {
  enum status status = STATUS_OK;
  for (size_t i = 0; i < columns && status == STATUS_OK; i++) {
    if (i > 0) status = text_add(out, "-+-", error);
    for (size_t j = 0; j < widths[i] && status == STATUS_OK; j++)
      status = text_add(out, "-", error);
  }
  return status == STATUS_OK ? text_add(out, "\n", error) : status;
}

enum status grid_print(const struct grid *grid, size_t width, struct text *out,
                       struct error *error) {
  if (grid->columns == 0) return STATUS_OK;
  size_t *widths = NULL;
  enum status status = measure(grid, &widths, error);
  if (status == STATUS_OK && width > 0) shrink(widths, grid->shown, width);
  size_t heads = grid->heads * grid->columns; /* cells */
  for (size_t i = 0; i < grid->count && status == STATUS_OK; i++) {
    size_t column = i % grid->columns;
    bool last = column + 1 == grid->shown;
    if (i == heads) status = add_rule(out, widths, grid->shown, error);
    if (column >= grid->shown) continue;
    if (column > 0 && status == STATUS_OK) status = text_add(out, " | ", error);
    if (status == STATUS_OK)
      status = add_cell(out, grid->cells[i], widths[column], grid->right[column], last, error);
    if (last && status == STATUS_OK) status = text_add(out, "\n", error);
  }
  if (grid->count == heads && status == STATUS_OK)
    status = add_rule(out, widths, grid->shown, error);
  free(widths);
  return status;
}

enum status grid_print_line(const char *line, size_t width, struct text *out, struct error *error) {
  enum status status =
      add_cell(out, line, width == 0 ? text_width(line) : width, false, true, error);
  return status == STATUS_OK ? text_add(out, "\n", error) : status;
}
