/* Fault points: FAULT("store.commit.sync") is 0 unless SLUICE_FAULT asks for trouble there.
 *
 *   SLUICE_FAULT='store.commit.sync@3=EIO staging.write@*=ENOSPC lazy.commit@1=kill api.write@2=sleep:500'
 *
 * name@N: the N-th time, name@*: each time, name@N+: from the N-th on; then an errno's name, "kill" (SIGKILL to
 * ourselves) or "sleep:MS". Only in builds with -Dfaults=true; else a constant 0. SLUICE_FAULT_FILE names a file that is
 * read again when its mtime changes, for tests that switch faults on and off. Any thread. */
#ifndef SLUICE_BASE_FAULT_H
#define SLUICE_BASE_FAULT_H

#ifdef SLUICE_FAULTS
int fault_at(const char *name); /* 0, or -errno (errno set too) */
#define FAULT(name) fault_at(name)
#else
#define FAULT(name) 0
#endif

#endif
