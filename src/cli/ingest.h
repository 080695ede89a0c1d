/* What `ingest` has in common whichever way rows go. */
#ifndef ARROWPORT_CLI_INGEST_H
#define ARROWPORT_CLI_INGEST_H

#include "cli/cli.h"
#include "cli/input.h"
#include "cli/progress.h"
#include "sink/sink.h"

enum { INGEST_KEYS_MAX = 64 };

/* How rows are to land, the same for every file. */
struct ingest_asked {
  const char *format;    /* NULL: found out */
  const char *mode_name; /* NULL: the server's choice, append */
  enum sink_mode mode;
  const char *keys[INGEST_KEYS_MAX];
  size_t key_count;
  char *key_text;     /* what they lie in */
  const char *token;  /* NULL: none */
  const char *commit; /* "batch", "stream"; NULL: as the server likes. Flight alone */
};

struct ingest_landed {
  const char *table;
  int64_t rows;
  int64_t batches;
  double seconds;
  bool repeated;
};
/* "flights.arrow: 1,000 rows in 1 batch landed in table flights (0.02 s)" */
enum status ingest_report(const struct progress *progress, const struct ingest_landed *landed,
                          struct error *error) WARN_UNUSED;

/* What reads files beside what takes their rows: a quarter of the memory for its engine, a
 * quarter for batches on their way. */
struct input_options ingest_input(const struct cli *cli, const struct server_config *config,
                                  struct budget *budget);
bool ingest_wants_progress(const struct cli *cli);

#endif
