#include "net/certs.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static void extend(X509 *x509, X509 *issuer, int kind, const char *value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
  assert_non_null(extension);
  assert_int_equal(X509_add_ext(x509, extension, -1), 1);
  X509_EXTENSION_free(extension);
}

struct cert cert_make(struct cert_wish wish) {
  static long serial;
  struct cert cert = {.x509 = X509_new(), .key = EVP_EC_gen("P-256")};
  const struct cert *issuer = wish.issuer == NULL ? &cert : wish.issuer;
  assert_non_null(cert.x509);
  assert_non_null(cert.key);
  bool usual = wish.from_s == 0 && wish.until_s == 0;
  X509_set_version(cert.x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(cert.x509), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(cert.x509), usual ? -3600 : wish.from_s);
  X509_gmtime_adj(X509_getm_notAfter(cert.x509), usual ? 3600 : wish.until_s);
  X509_set_pubkey(cert.x509, cert.key);
  if (wish.cn != NULL)
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert.x509), "CN", MBSTRING_UTF8,
                               (const unsigned char *)wish.cn, -1, -1, 0);
  X509_set_issuer_name(cert.x509, X509_get_subject_name(issuer->x509));
  extend(cert.x509, issuer->x509, NID_basic_constraints,
         wish.ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (wish.alt != NULL) extend(cert.x509, issuer->x509, NID_subject_alt_name, wish.alt);
  assert_true(X509_sign(cert.x509, issuer->key, EVP_sha256()) > 0);
  return cert;
}

void cert_release(struct cert *cert) {
  X509_free(cert->x509);
  EVP_PKEY_free(cert->key);
  *cert = (struct cert){0};
}

void cert_write(const char *path, const struct cert *const *certs, int count) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  for (int i = 0; i < count; i++) assert_int_equal(PEM_write_X509(file, certs[i]->x509), 1);
  assert_int_equal(fclose(file), 0);
}

void cert_write_key(const char *path, const struct cert *cert, int mode, const char *passphrase) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_int_equal(fchmod(fileno(file), (mode_t)mode), 0);
  assert_int_equal(PEM_write_PKCS8PrivateKey(
                       file, cert->key, passphrase == NULL ? NULL : EVP_aes_128_cbc(), passphrase,
                       passphrase == NULL ? 0 : (int)strlen(passphrase), NULL, NULL),
                   1);
  assert_int_equal(fclose(file), 0);
}
