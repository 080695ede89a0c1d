/* Content-Encoding: no input may crash a decoder, make it read too far or hold more than its
 * window, and however the input is cut into pieces, the outcome and what comes out are the same.
 * The first byte says which coding, how long the pieces are and how much room there is. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/http_coding.h"

enum { SEED = 0x811c9dc5, PRIME = 16777619, OUT_BYTES_MAX = 1 << 20 };

struct outcome {
  enum status status;
  uint64_t hash;
  size_t bytes;
};

static struct outcome run(const char *name, const uint8_t *data, size_t bytes, size_t piece_bytes,
                          size_t room_bytes) {
  struct outcome outcome = {.status = STATUS_OK, .hash = SEED};
  struct http_coding *coding = NULL;
  struct error error;
  uint8_t *room = malloc(room_bytes);
  if (room == NULL || http_coding_new(name, &coding, NULL) != STATUS_OK) abort();
  while (bytes > 0 && outcome.status == STATUS_OK && outcome.bytes < OUT_BYTES_MAX) {
    /* A copy of its own, so that ASan sees a read past the piece. */
    size_t piece = piece_bytes < bytes ? piece_bytes : bytes;
    uint8_t *copy = malloc(piece);
    if (copy == NULL) abort();
    memcpy(copy, data, piece);
    size_t at = 0, used = 1, made = 0;
    while (outcome.status == STATUS_OK && used + made > 0 && outcome.bytes < OUT_BYTES_MAX) {
      outcome.status =
          http_coding_step(coding, copy + at, piece - at, &used, room, room_bytes, &made, &error);
      assert(used <= piece - at && made <= room_bytes);
      at += used;
      for (size_t i = 0; i < made; i++) outcome.hash = (outcome.hash ^ room[i]) * PRIME;
      outcome.bytes += made;
    }
    assert(outcome.status != STATUS_OK || at == piece || outcome.bytes >= OUT_BYTES_MAX);
    free(copy);
    data += piece;
    bytes -= piece;
  }
  if (outcome.status == STATUS_OK && outcome.bytes < OUT_BYTES_MAX)
    outcome.status = http_coding_finish(coding, &error);
  assert(outcome.status == STATUS_OK || error.text[0] != '\0');
  http_coding_free(coding);
  free(room);
  return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  if (bytes < 2) return 0;
  const char *name = data[0] & 1 ? "gzip" : "zstd";
  size_t piece_bytes = (size_t)(data[0] >> 1) % 16 + 1, room_bytes = (size_t)(data[0] >> 5) * 9 + 1;
  struct outcome whole = run(name, data + 1, bytes - 1, bytes - 1, 65536);
  if (whole.bytes >= OUT_BYTES_MAX) return 0;
  struct outcome cut = run(name, data + 1, bytes - 1, piece_bytes, room_bytes);
  if (cut.status != whole.status) abort();
  if (cut.status == STATUS_OK && (cut.hash != whole.hash || cut.bytes != whole.bytes)) abort();
  return 0;
}
