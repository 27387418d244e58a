// Package sample takes samples of where a process spends its CPU time. The kernel takes them; nothing is stopped, and
// nothing of the process is touched.
//
// What may not come in: ptrace, reading of memory; what a PC means.
package sample
