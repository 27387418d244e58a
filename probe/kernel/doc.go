// Package kernel arms probes: it makes a BPF program of each, asks the kernel whether it may, keeps the budget, and
// gives events. Everything goes away with the descriptors that it holds, so with ri, however ri ends.
//
// It also tells of a process' system calls on sockets (FollowSockets), which needs no breakpoints.
//
// It knows no Go types and no expressions. It is the only room that knows BPF.
package kernel
