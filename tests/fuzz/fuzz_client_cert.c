/* X-CLIENT-CERT: whatever a client sends through a proxy is a certificate or is refused, and its extensions are read or refused. */
#include "fuzz.h"

#include "base/check.h"
#include "guard/cert.h"
#include "guard/entitlement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of((const char *)data, size);
	struct entitlement *e = NULL;
	struct err err = ERR_INIT;
	X509 *cert = NULL;
	int rc = cert_of_field(bytes, &cert, &err);

	BUG((rc < 0) != (cert == NULL) || (rc < 0 && rc != -ERR_INVAL && rc != -ERR_NOMEM));
	if (rc < 0)
		rc = cert_of_der(bytes, &cert, &err);
	if (rc == 0 && entitlement_of_cert(cert, &e, &err) == 0)
		(void)entitlement_covers(e, SLICE("content/dist/rhel/9/os"));
	entitlement_free(&e);
	X509_free(cert);
	return 0;
}
