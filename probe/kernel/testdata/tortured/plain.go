//go:build !withcgo

package main

func c(n int) int { return n + 1 }
