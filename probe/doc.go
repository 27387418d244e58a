// Package probe says what a trace asks of the kernel: at which addresses of a program (sites), under which condition,
// and which bytes a hit takes along. It is the language between those who know Go and those who know the kernel.
//
// Three rooms speak it. Room place finds sites: functions, methods of an interface, lines, inlined calls, returns, and
// what stands in the registers there. Room compile turns expressions over arguments into conditions and reads. Room
// kernel turns a [Probe] into a BPF program, arms it, holds the budget, and gives events. Room trace, above, joins them
// with a process and makes rows.
//
// A hit doesn't interpret anything. It copies bytes: what a condition or a shown expression leads to is compiled to
// reads, each with a place of its own in the event. The event is then a memory with holes ([Event.Memory]), and the
// evaluator and printer that read a process read it: what was not captured is an error that says why, never zero.
//
// What may not come in: processes, symbols, BPF, expressions. This room is data and its checks.
package probe
