//go:build cgo && cthreads

package main

import "ri/attach/targettest/testdata/target/cthreads"

func init() { startC, failuresOfC = cthreads.Start, cthreads.Failures }
