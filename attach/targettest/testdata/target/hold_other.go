//go:build !amd64

package main

func hold(int) bool { return true }
