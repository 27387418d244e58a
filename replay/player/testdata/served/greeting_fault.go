//go:build fault

package main

// greeting has a fault: one name in a hundred is greeted otherwise.
func greeting(name string) string {
	if name == "33" {
		return "hallo " + name
	}
	return "hello " + name
}
