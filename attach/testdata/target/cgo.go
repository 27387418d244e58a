//go:build cgo && cthreads

package main

import "ri/attach/testdata/target/cthreads"

func init() { startC, failuresOfC = cthreads.Start, cthreads.Failures }
