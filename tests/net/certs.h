/* Certificates for tests, made while they run: none expires in the repository. */
#ifndef ARROWPORT_TESTS_NET_CERTS_H
#define ARROWPORT_TESTS_NET_CERTS_H

#include <stdbool.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

struct cert {
  X509 *x509;
  EVP_PKEY *key;
};

struct cert_wish {
  const char *cn;            /* NULL: an empty subject */
  const char *alt;           /* "DNS:a.example,IP:127.0.0.1"; NULL: none */
  const struct cert *issuer; /* NULL: signed by itself */
  bool ca;
  int from_s, until_s; /* from now; 0, 0: an hour ago to an hour from now */
};

struct cert cert_make(struct cert_wish wish);
void cert_release(struct cert *cert);
/* Writes `count` certificates into one PEM file. */
void cert_write(const char *path, const struct cert *const *certs, int count);
/* With a passphrase: encrypted. */
void cert_write_key(const char *path, const struct cert *cert, int mode, const char *passphrase);

#endif
