// Package compile turns Go expressions over a function's receiver, arguments and results into what the kernel can
// decide and capture: conditions and reads of package probe. What can't be compiled is refused with the reason, before
// anything is armed.
//
// It reads back what it compiled: an event becomes a memory with holes, over which the same expressions are evaluated
// and printed.
//
// What may not come in: BPF, processes.
package compile
