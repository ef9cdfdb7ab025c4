/* The generation: one counter in a file that every process of the host maps. Whoever changes what clients are
 * served bumps it before the change is reported as done; a loop compares it by one atomic load a request. */
#ifndef SLUICE_BASE_SHM_H
#define SLUICE_BASE_SHM_H

#include "base/err.h"

#include <stdint.h>

struct shm; /* mapped file */

int shm_open_file(const char *path, struct shm **out, struct err *err); /* creates it, 0600 */
void shm_close(struct shm **ps);
uint64_t shm_generation(const struct shm *s); /* what is served changed */
void shm_bump_generation(struct shm *s);
uint64_t shm_task_signal(const struct shm *s); /* tasks were queued, canceled or ended: workers look */
void shm_bump_task_signal(struct shm *s);

#endif
