// Package yaml has a dot in the last element of its import path, which the linker escapes.
package yaml

type Kind uint8

const (
	Scalar Kind = iota + 1
	Mapping
)

type Node struct {
	Kind Kind
	Tag  string
	kids []*Node
}

var Default = Node{Kind: Scalar, Tag: "!!str", kids: []*Node{{Kind: Mapping}}}

var Hook = (&Default).walk

func (n *Node) walk(f func(*Node)) {
	for _, k := range n.kids {
		f(k)
	}
}

// Wait blocks inside a method and a closure of this package.
func (n *Node) Wait(gate chan struct{}) Kind {
	func() {
		<-gate
	}()
	return n.Kind
}

func init() {
	if Default.Kind == Mapping {
		panic("no")
	}
}
