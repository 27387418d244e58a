//go:build cgo

package main

/*
static int crash_in_c(int *p) { return *p; }
static int call_it(int n) { return crash_in_c((int *)(long)n) + 1; }
*/
import "C"

func inC() { C.call_it(16) }
