/* What the service manager is told (sd_notify(3)): a datagram to the socket that NOTIFY_SOCKET names. Written here, because it is twenty lines
 * and a library would be a dependency of every build. Any thread. */
#ifndef SLUICE_BASE_NOTIFY_H
#define SLUICE_BASE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* "READY=1", "STOPPING=1", "STATUS=…". True: it was sent; false: nobody asked to be told, or it could not be (which changes nothing for us). */
bool notify_send(const char *state);
/* How often at most the manager waits for "WATCHDOG=1" from this process, in ms; 0: not at all. */
int64_t notify_watchdog_ms(void);

#endif
