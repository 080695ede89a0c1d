/* Codecs and encodings as people call them: what options outside of the room are made of. */
#ifndef ARROWPORT_PARQUET_NAMES_H
#define ARROWPORT_PARQUET_NAMES_H

#include <stdbool.h>

#include "parquet/format.h"

/* "zstd", "snappy", "gzip", "lz4", "none" (also "lz4_raw", "uncompressed"); false: none of that name. */
bool parquet_codec_parse(const char *name, enum parquet_codec *codec);
const char *parquet_codec_name(enum parquet_codec codec);

/* A name as options have it ("plain", "dictionary", "delta", "delta_length", "delta_bytes", "split",
 * "rle"; also the specification's names in any case); false: none of that name. */
bool encode_parse(const char *name, enum parquet_encoding *encoding);
const char *encode_name(enum parquet_encoding encoding); /* the specification's: "RLE_DICTIONARY" */

#endif
