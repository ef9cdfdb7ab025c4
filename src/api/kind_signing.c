/* Signing services: what signs metadata. Read-only: they are programs of the server's machine, and made there. */
#include "api/api_priv.h"

#define RO_TEXT(name_, help_)                                                        \
	{                                                                            \
		.name = name_, .type = T_STRING, .flags = F_READ_ONLY, .help = help_ \
	}

static const struct api_field fields[] = {
	API_COMMON_FIELDS,
	RO_TEXT("name", "unique name"),
	RO_TEXT("public_key", "the key that signatures are checked with"),
	RO_TEXT("pubkey_fingerprint", "fingerprint of the key"),
	RO_TEXT("script", "program that signs"),
	{.name = NULL},
};

static const struct api_filter filters[] = {
	{"name", OPS_EXACT, "name", .help = "name"},
	{.name = NULL},
};

const struct api_kind api_kinds_signing_service = {
	.name = "signing-services",
	.model = "SigningService",
	.view = "signing_service",
	.ops = API_LIST | API_READ,
	.fields = fields,
	.filters = filters,
};
