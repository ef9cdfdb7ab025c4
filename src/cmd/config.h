/* Where settings come from: defaults, server.conf, the environment, the command line; and `sluice config`. */
#ifndef SLUICE_CMD_CONFIG_H
#define SLUICE_CMD_CONFIG_H

#include "base/settings.h"
#include "cmd/options.h"

/* All of them, checked; server_data is an absolute path, database_url and storage_media are filled in. `s` is
 * settings_fini'd by the caller only after success. */
int config_load(const struct options *o, struct settings *s, struct err *err);

#endif
