/* The configuration's reader: any bytes are a configuration or refused with a place. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  struct server_config *config = NULL;
  struct error error = {.status = STATUS_OK};
  enum status status = server_config_parse(data, bytes, "f", &config, &error);
  if (status != STATUS_OK) {
    /* A refusal says what is wrong; nothing is left of the config. */
    if (config != NULL || error.text[0] == '\0' || error.status != status) abort();
    return 0;
  }
  for (size_t i = 0; i < config->stream_count; i++) {
    const struct stream_config *stream = &config->streams[i];
    if (server_config_stream(config, stream->name) != stream) abort();
    if (stream->table.table[0] == '\0' || stream->chunk_rows < 1) abort();
  }
  struct text text = TEXT_EMPTY;
  if (server_config_show(config, true, &text, NULL) != STATUS_OK) abort();
  text_release(&text);
  server_config_free(config);
  return 0;
}
