//go:build !withcgo

package main

func foreign() {}
