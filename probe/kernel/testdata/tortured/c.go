//go:build withcgo

package main

// static int next(int n) { return n + 1; }
import "C"

func c(n int) int { return int(C.next(C.int(n))) }
