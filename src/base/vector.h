/* Loops that are worth the vector instructions of newer processors. */
#ifndef ARROWPORT_BASE_VECTOR_H
#define ARROWPORT_BASE_VECTOR_H

#include <stddef.h> /* __GLIBC__ */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VECTOR_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define VECTOR_SANITIZED 1
#endif
#endif

/* Before a static function: it is compiled twice, and the program takes the one that the
 * processor can run, which it finds out when it is loaded. Sanitizers are not there yet at
 * that time; and were it not static, our library would export it. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(VECTOR_SANITIZED)
#define VECTOR_LOOP __attribute__((target_clones("avx2", "default")))
#else
#define VECTOR_LOOP
#endif

#endif
