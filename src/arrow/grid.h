/* A table of text for people: columns aligned to their widest cell, control characters made
 * visible. */
#ifndef ARROWPORT_ARROW_GRID_H
#define ARROWPORT_ARROW_GRID_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

struct grid;

/* STATUS_NOMEM only. */
enum status grid_new(size_t columns, struct grid **grid, struct error *error) WARN_UNUSED;
void grid_free(struct grid *grid);                       /* NULL is allowed */
void grid_align_right(struct grid *grid, size_t column); /* numbers */
void grid_set_heads(struct grid *grid, size_t rows);     /* 1 unless told */
/* The next cell, row by row, the heads first. `bytes` of `data` are copied. */
enum status grid_add(struct grid *grid, const char *data, size_t bytes,
                     struct error *error) WARN_UNUSED;
enum status grid_add_text(struct grid *grid, const char *string,
                          struct error *error) WARN_UNUSED; /* the same; NULL: nothing in it */
size_t grid_rows(const struct grid *grid);                  /* without the heads */

/* Leaves out the last columns where not all can be printed in `width` (0: all can), however
 * narrow; `*shown` are left, one at least. */
enum status grid_fit(struct grid *grid, size_t width, size_t *shown,
                     struct error *error) WARN_UNUSED;
/* In `width` columns of the screen, cells being cut where they must, as far as can be: see
 * grid_fit; 0: as it comes. */
enum status grid_print(const struct grid *grid, size_t width, struct text *out,
                       struct error *error) WARN_UNUSED;

/* A line of its own, cut likewise. */
enum status grid_print_line(const char *line, size_t width, struct text *out,
                            struct error *error) WARN_UNUSED;

/* "1,234,567" */
enum { GRID_NUMBER_BYTES = 32 };
const char *grid_number(int64_t number, char text[GRID_NUMBER_BYTES]);

#endif
