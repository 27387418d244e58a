// Package thing has an import path that ends in a version.
package thing

type ID int

type Thing struct {
	ID   ID
	Name string
}

var All = []Thing{{1, "one"}, {2, "two"}}

var Prefix = "prefix"

var Hook = hook(Prefix)

//go:noinline
func hook(prefix string) func(string) string {
	return func(s string) string { return prefix + s }
}

// Wait blocks in a closure of a method.
func (t Thing) Wait(gate chan struct{}) string {
	func() {
		<-gate
	}()
	return t.Name
}
