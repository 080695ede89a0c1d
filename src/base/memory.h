/* How much memory this process may have: what its control groups leave it, and what the machine
 * has. A container's limit is a control group's; the kernel ends a process that passes it. */
#ifndef ARROWPORT_BASE_MEMORY_H
#define ARROWPORT_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum memory_source {
  MEMORY_UNKNOWN, /* nothing could be read */
  MEMORY_MACHINE, /* MemTotal of /proc/meminfo */
  MEMORY_GROUP    /* a control group's limit, which is less than the machine has */
};

struct memory_bound {
  int64_t bytes; /* INT64_MAX: MEMORY_UNKNOWN */
  enum memory_source source;
  char file[256]; /* MEMORY_GROUP: the one that says it, cut where it is longer; else "" */
};

/* Looks at version 2 (memory.max, and memory.high, past which a group is slowed down until it
 * stands) and at version 1 (memory.limit_in_bytes) of control groups, at this process's own group
 * and at all above it as far as they can be seen: the least counts. What cannot be read says
 * nothing. `root` is put before every path: "" but in tests. Blocks for a few files of the kernel.
 * Source: Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst; proc(5). */
void memory_bound_read(const char *root, struct memory_bound *bound);

/* "1000000000 bytes" as people write it: "1 GB", "512 MiB", "1.4 GB". */
enum { MEMORY_TEXT_BYTES = 32 };
void memory_print(int64_t bytes, char text[MEMORY_TEXT_BYTES]);

/* What `bound` is, for a sentence: "the control group's 1 GiB (/sys/fs/cgroup/memory.max)". */
void memory_bound_print(const struct memory_bound *bound, char *text, size_t text_bytes);

#endif
