/* The choice of an encoding: every one that fits is tried on a few thousand values, codec included, but
 * for the dictionary, whose indices are tried and whose entries are estimated (choose_sample.c).
 *
 * A choice costs up to half a millisecond, and saves several on a column chunk of some MB. Each candidate
 * gets a price in bytes: what is left of a value, plus what it takes to get there, where a byte is
 * thought to be worth NANOSECONDS_A_BYTE of one thread. The times are constants, measured once: times
 * taken during the trial would let the same rows be written differently from one day to the next. */
#include "parquet/choose.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "parquet/choose_sample.h"
#include "parquet/encode.h"

enum {
  NANOSECONDS_A_BYTE = 32,
  DICTIONARY_PAGE_BYTES = 48, /* its header, and what the footer says of it */
  SLOW_LEVEL = 6,             /* of ZSTD: smaller samples above it */
  FEW_DISTINCT = 4096         /* a table that stays in the second-level cache */
};

struct chooser {
  const struct parquet_leaf *leaf;
  const struct parquet_choose_options *options;
  struct parquet_compressor *compressor;
  int lane;
  struct budget *budget;
  int64_t page_values;
  struct sample sample;
  struct buffer encoded, compressed, work;
};

/* ---- times ----------------------------------------------------------------------------------------- */

/* Nanoseconds for a byte that the codec is given and makes `ratio` bytes of. What does not shrink is
 * given up soon, and what is all the same is soon done; what is in between takes its time. */
static double codec_time(const struct parquet_choose_options *options, double ratio) {
  double time = 0.2 + 10 * ratio * (1 - ratio);
  switch (options->codec) {
  case PARQUET_UNCOMPRESSED: return 0;
  case PARQUET_SNAPPY:
  case PARQUET_LZ4_RAW: return time / 2;
  case PARQUET_GZIP: return options->level > 6 ? 20 * time : 10 * time;
  case PARQUET_ZSTD: break;
  }
  if (options->level <= 2) return time;
  return options->level <= SLOW_LEVEL ? 3 * time : 12 * time;
}

static bool is_slow(const struct parquet_choose_options *options) {
  return options->codec == PARQUET_GZIP ||
         (options->codec == PARQUET_ZSTD && options->level > SLOW_LEVEL);
}

/* Nanoseconds a value. */
static double encoding_time(const struct chooser *chooser, enum parquet_encoding encoding) {
  bool is_bytes = chooser->leaf->type == PARQUET_BYTE_ARRAY;
  double distinct = chooser->sample.distinct_expected;
  switch (encoding) {
  case PARQUET_RLE_DICTIONARY:
    if (distinct < 2) return 1;
    if (distinct <= FEW_DISTINCT) return is_bytes ? 6 : 3;
    return is_bytes ? 14 : 7;
  case PARQUET_DELTA_BYTE_ARRAY: return 10;
  case PARQUET_DELTA_BINARY_PACKED: return 2;
  default: return is_bytes ? 4 : 0.5;
  }
}

static double price(const struct chooser *chooser, enum parquet_encoding encoding, double codec_ns,
                    double made_bytes) {
  return made_bytes + (encoding_time(chooser, encoding) + codec_ns) / NANOSECONDS_A_BYTE;
}

/* What readers are likely to know. BYTE_STREAM_SPLIT is not among it: Spark 3.5 does not read it at all, DuckDB
 * not of integers; nor is DELTA_BYTE_ARRAY of FIXED_LEN_BYTE_ARRAY, which Polars does not read. Who wants
 * them asks for them. */
static bool is_for_everybody(const struct parquet_leaf *leaf, enum parquet_encoding encoding) {
  if (leaf->type == PARQUET_FIXED) return encoding == PARQUET_PLAIN;
  return encode_fits(leaf, encoding);
}

/* ---- trials ---------------------------------------------------------------------------------------- */

/* What the codec leaves of bytes, and what that takes it. */
struct coded {
  double bytes, ns;
};

/* Adds what it leaves of `bytes`: never more, as a page that does not shrink may stay as it is. */
static enum status try_codec(struct chooser *chooser, const uint8_t *data, int64_t bytes,
                             struct coded *coded, struct error *error) {
  int64_t made_bytes = bytes;
  if (bytes > 0 && chooser->options->codec != PARQUET_UNCOMPRESSED) {
    chooser->compressed.size_bytes = 0;
    enum status status = parquet_compress(chooser->compressor, chooser->lane, data, bytes,
                                          &chooser->compressed, &made_bytes, error);
    if (status != STATUS_OK) return status;
    if (made_bytes > bytes) made_bytes = bytes;
    double ratio = (double)made_bytes / (double)bytes;
    coded->ns += (double)bytes * codec_time(chooser->options, ratio);
  }
  coded->bytes += (double)made_bytes;
  return STATUS_OK;
}

/* Appends values to `encoded`. */
static enum status encode(struct chooser *chooser, const struct parquet_values *values,
                          enum parquet_encoding encoding, struct error *error) {
  struct buffer *encoded = &chooser->encoded;
  int64_t work_bytes = 0;
  int64_t room_bytes = encode_values_room(chooser->leaf, values, encoding, &work_bytes);
  enum status status =
      buffer_reserve(encoded, chooser->budget, encoded->size_bytes + room_bytes, error);
  if (status == STATUS_OK)
    status = buffer_reserve(&chooser->work, chooser->budget, work_bytes, error);
  if (status != STATUS_OK) return status;
  uint8_t *end = encode_values(chooser->leaf, values, encoding, chooser->work.data,
                               encoded->data + encoded->size_bytes);
  encoded->size_bytes = end - encoded->data;
  return STATUS_OK;
}

/* What an encoding makes of the blocks, before and after the codec. */
static enum status try_encoding(struct chooser *chooser, enum parquet_encoding encoding,
                                double *value_price, struct error *error) {
  const struct sample *sample = &chooser->sample;
  enum status status = STATUS_OK;
  chooser->encoded.size_bytes = 0;
  for (int64_t i = 0; i < sample->blocks && status == STATUS_OK; i++) {
    struct parquet_values block = sample_block(sample, i);
    status = encode(chooser, &block, encoding, error);
  }
  struct coded coded = {.bytes = 0};
  if (status == STATUS_OK)
    status = try_codec(chooser, chooser->encoded.data, chooser->encoded.size_bytes, &coded, error);
  if (encoding == PARQUET_RLE) coded.bytes -= 4.0 * (double)(sample->blocks - 1); /* lengths */
  double count = (double)sample->dense.count;
  *value_price = price(chooser, encoding, coded.ns / count, coded.bytes / count);
  return status;
}

/* The indices of the blocks, as wide as they will be. */
static enum status try_indices(struct chooser *chooser, double distinct, struct coded *coded,
                               struct error *error) {
  struct sample *sample = &chooser->sample;
  int64_t count = sample->dense.count;
  uint32_t *numbers = (uint32_t *)(void *)sample->numbers.data;
  double wider = distinct / (double)sample->numbers_count;
  for (int64_t i = 0; i < count; i++) numbers[i] = (uint32_t)((double)numbers[i] * wider);
  int bit_width = encode_bit_width((uint64_t)distinct > 0 ? (uint64_t)distinct - 1 : 0);

  struct buffer *encoded = &chooser->encoded;
  encoded->size_bytes = 0;
  enum status status = STATUS_OK;
  for (int64_t i = 0; i < sample->blocks; i++) {
    int64_t room_bytes = encode_rle_room(sample->block_values, bit_width) + ENCODE_SLACK_BYTES;
    status = buffer_reserve(encoded, chooser->budget, encoded->size_bytes + room_bytes, error);
    if (status != STATUS_OK) return status;
    uint8_t *end = encode_rle_32(numbers + i * sample->block_values, sample->block_values,
                                 bit_width, encoded->data + encoded->size_bytes);
    encoded->size_bytes = end - encoded->data;
  }
  return try_codec(chooser, encoded->data, encoded->size_bytes, coded, error);
}

static enum status try_dictionary(struct chooser *chooser, double rows, double *value_price,
                                  struct error *error) {
  const struct sample *sample = &chooser->sample;
  double distinct = ceil(sample->distinct_expected);
  double entries_bytes = distinct * sample->distinct_bytes;
  *value_price = INFINITY;
  if (entries_bytes > (double)chooser->options->dictionary_bytes_max) return STATUS_OK;

  struct coded indices = {.bytes = 0}, entries = {.bytes = 0};
  enum status status = try_indices(chooser, distinct, &indices, error);
  double share = 1; /* of the entries that are looked at */
  if (entries_bytes > rows * sample->value_bytes / 64) {
    chooser->encoded.size_bytes = 0;
    if (status == STATUS_OK) status = encode(chooser, &sample->distinct, PARQUET_PLAIN, error);
    int64_t bytes = chooser->encoded.size_bytes;
    if (status == STATUS_OK)
      status = try_codec(chooser, chooser->encoded.data, bytes, &entries, error);
    share = (double)bytes / entries_bytes;
  } else {
    entries.bytes = entries_bytes; /* they do not matter */
  }
  double count = (double)sample->dense.count;
  double page_bytes = entries.bytes / share + DICTIONARY_PAGE_BYTES;
  *value_price =
      price(chooser, PARQUET_RLE_DICTIONARY, indices.ns / count + entries.ns / share / rows,
            indices.bytes / count + page_bytes / rows);
  return status;
}

/* ---- the choice -------------------------------------------------------------------------------------- */

/* Values too large to try anything with: their bytes are all that counts. */
static void choose_untried(const struct chooser *chooser, double rows,
                           struct parquet_choice *choice) {
  const struct sample *sample = &chooser->sample;
  double entries_bytes = sample->distinct_expected * sample->distinct_bytes;
  if (entries_bytes <= (double)chooser->options->dictionary_bytes_max &&
      entries_bytes < rows * sample->value_bytes / 2)
    choice->encoding = PARQUET_RLE_DICTIONARY;
}

static enum status choose(struct chooser *chooser, struct parquet_choice *choice,
                          struct error *error) {
  static const enum parquet_encoding encodings[] = {
      PARQUET_PLAIN,
      PARQUET_RLE,
      PARQUET_DELTA_BINARY_PACKED,
      PARQUET_DELTA_LENGTH_BYTE_ARRAY,
      PARQUET_DELTA_BYTE_ARRAY,
  };
  const struct parquet_choose_options *options = chooser->options;
  double rows = (double)options->rows_expected;
  if (rows < (double)chooser->page_values) rows = (double)chooser->page_values;
  bool has_dictionary =
      encode_fits(chooser->leaf, PARQUET_RLE_DICTIONARY) && options->dictionary_bytes_max > 0;
  if (chooser->sample.blocks == 0) {
    if (has_dictionary) choose_untried(chooser, rows, choice);
    return STATUS_OK;
  }

  double best = INFINITY;
  size_t count = options->compatible ? 1 : sizeof encodings / sizeof *encodings;
  for (size_t i = 0; i < count; i++) {
    double value_price = INFINITY;
    if (!is_for_everybody(chooser->leaf, encodings[i])) continue;
    enum status status = try_encoding(chooser, encodings[i], &value_price, error);
    if (status != STATUS_OK) return status;
    if (value_price < best) {
      best = value_price;
      choice->fallback = encodings[i];
    }
  }
  choice->encoding = choice->fallback;
  double value_price = INFINITY;
  enum status status = STATUS_OK;
  if (has_dictionary) status = try_dictionary(chooser, rows, &value_price, error);
  if (value_price < best) choice->encoding = PARQUET_RLE_DICTIONARY;
  return status;
}

enum status parquet_choose(const struct parquet_leaf *leaf, const struct parquet_values *values,
                           const struct parquet_choose_options *options,
                           struct parquet_compressor *compressor, int lane, struct budget *budget,
                           struct parquet_choice *choice, struct error *error) {
  struct parquet_choice found = {.encoding = PARQUET_PLAIN, .fallback = PARQUET_PLAIN};
  if (values->count == 0 || (leaf->type == PARQUET_BOOLEAN && options->compatible)) {
    *choice = found;
    return STATUS_OK;
  }
  struct chooser chooser = {.leaf = leaf,
                            .options = options,
                            .compressor = compressor,
                            .lane = lane,
                            .budget = budget,
                            .page_values = values->count};
  enum status status = sample_take(&chooser.sample, leaf, values, options->rows_expected,
                                   is_slow(options), budget, error);
  if (status != STATUS_OK) return status;
  status = choose(&chooser, &found, error);
  if (status == STATUS_OK) *choice = found;
  sample_release(&chooser.sample);
  buffer_release(&chooser.encoded);
  buffer_release(&chooser.compressed);
  buffer_release(&chooser.work);
  return status;
}
