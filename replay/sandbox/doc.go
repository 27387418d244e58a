// Package sandbox runs a program in user, mount, pid and network namespaces of its own: nothing that it does leaves
// them, and it dies with who started it.
//
// It has two sides. Outside, [Start] starts this executable again as the first process of the namespaces; there,
// [Inside] is true, [Enter] makes the file system and the network, and [Run] the program. The file system is the
// host's, with all changes in memory that nobody sees (overlayfs), and /tmp, /run, /dev and /proc of its own. The
// network is lo. Unix sockets that have a path are no network namespace's: those of outside are refused by the filter
// below, where the kernel asks before a socket is connected to a path.
//
// The program is not touched, and yet has the clock and the randomness that it is given: a seccomp filter has the
// kernel ask us (seccomp_unotify(2)) when it asks for the wall clock or for random bytes. Go asks the vDSO, which no
// filter sees; so the auxiliary vector is changed before Go reads it, at the program's first arch_prctl(ARCH_SET_FS),
// which runtime.rt0_go and any C library make before runtime.args (runtime/asm_amd64.s, Go 1.20 to 1.27).
//
// What may not come in: recordings, what is played.
package sandbox
