/* The distinct values of a column chunk, numbered in the order in which they came: what RLE_DICTIONARY
 * writes (Encodings.md, "Dictionary Encoding"). Inside the room only.
 *
 * Values are equal when their bits are: -0.0 and 0.0 are two, a NaN is itself. */
#ifndef ARROWPORT_PARQUET_DICTIONARY_H
#define ARROWPORT_PARQUET_DICTIONARY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"
#include "parquet/schema.h"
#include "parquet/values.h"

struct parquet_dictionary;

/* For values of the leaf's physical type (not BOOLEAN). Values are copied. */
enum status parquet_dictionary_new(const struct parquet_leaf *leaf, struct budget *budget,
                                   struct parquet_dictionary **dictionary,
                                   struct error *error) WARN_UNUSED;
void parquet_dictionary_free(struct parquet_dictionary *dictionary); /* NULL is allowed */
/* Forgets the values, keeps (some of) the memory: the next column chunk. */
void parquet_dictionary_clear(struct parquet_dictionary *dictionary);

/* The number of each of `values`, new ones included: `indices` has room for values->count.
 * STATUS_BUDGET, STATUS_NOMEM: the dictionary holds what it held, or some of the new values too; the
 * call may be repeated with the same values. */
enum status parquet_dictionary_add(struct parquet_dictionary *dictionary,
                                   const struct parquet_values *values, uint32_t *indices,
                                   struct error *error) WARN_UNUSED;

int64_t parquet_dictionary_count(const struct parquet_dictionary *dictionary);
/* What the values take in PLAIN encoding: the dictionary page. */
int64_t parquet_dictionary_bytes(const struct parquet_dictionary *dictionary);
/* Appends the dictionary page's bytes to `out`. */
enum status parquet_dictionary_write(const struct parquet_dictionary *dictionary,
                                     struct buffer *out, struct budget *budget,
                                     struct error *error) WARN_UNUSED;
/* The values, dense, in the order of their numbers: the dictionary's, until its next call. For
 * BYTE_ARRAY `scratch` holds the struct parquet_bytes. For hashing (Bloom filters). */
enum status parquet_dictionary_values(const struct parquet_dictionary *dictionary,
                                      struct budget *budget, struct parquet_values *scratch,
                                      struct error *error) WARN_UNUSED;

#endif
