// Command nothing uses nothing.
package main

func main() {}
