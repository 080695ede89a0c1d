/* Requests that find no memory for what they are being sent. All on the loop's thread. */
#ifndef ARROWPORT_SERVER_STARVING_H
#define ARROWPORT_SERVER_STARVING_H

#include "server/ingest.h"

struct starving;

enum status starving_new(struct server *server, struct starving **starving,
                         struct error *error) WARN_UNUSED;
void starving_free(struct starving *starving); /* no ingest is left; NULL is allowed */

/* True while an older request waits: this one may take no more memory. */
bool starving_before(const struct ingest *ingest);
/* Puts it in line and pauses its body; returns STATUS_BUDGET. Its `resume` is called when its turn
 * has come, or it is refused with 429. */
enum status starving_wait(struct ingest *ingest);
/* Out of the line, if it is there. */
void starving_leave(struct ingest *ingest);

#endif
