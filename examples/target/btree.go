package main

import (
	"fmt"
	"sort"
	"strings"
)

// Tree maps object names to fids: a b-tree with all fids in its leaves.
// It has no lock of its own; Store.mu guards it.
type Tree struct {
	root   *Node
	nodes  map[uint64]*Node // every node by its id
	nextID uint64
	fanout int // most keys a node may have
	height int // number of levels
	size   int // number of names
}

// Node is one node of the tree. Level 0 are the leaves: fids[i] belongs to
// keys[i], and next is the leaf to the right. Above that, children has one
// element more than keys: names below keys[i] are found under children[i],
// all others to the right of it.
type Node struct {
	id       uint64
	level    int
	keys     []string
	children []*Node
	fids     []Fid
	next     *Node
}

func newTree(fanout int) *Tree {
	t := &Tree{nodes: make(map[uint64]*Node), nextID: 1, fanout: fanout, height: 1}
	t.root = t.newNode(0)
	return t
}

func (t *Tree) newNode(level int) *Node {
	n := &Node{id: t.nextID, level: level, keys: make([]string, 0, t.fanout+1)}
	if level == 0 {
		n.fids = make([]Fid, 0, t.fanout+1)
	} else {
		n.children = make([]*Node, 0, t.fanout+2)
	}
	t.nextID++
	t.nodes[n.id] = n
	return n
}

// child is the index of the child under which key belongs.
func (n *Node) child(key string) int {
	return sort.Search(len(n.keys), func(i int) bool { return n.keys[i] > key })
}

// path lists the nodes from the root to the leaf where key is, or would be.
func (t *Tree) path(key string) []*Node {
	path := make([]*Node, 0, t.height)
	n := t.root
	for n.level > 0 {
		path = append(path, n)
		n = n.children[n.child(key)]
	}
	return append(path, n)
}

func (t *Tree) leaf(key string) *Node {
	n := t.root
	for n.level > 0 {
		n = n.children[n.child(key)]
	}
	return n
}

func (t *Tree) lookup(key string) (Fid, bool) {
	n := t.leaf(key)
	i := sort.SearchStrings(n.keys, key)
	if i < len(n.keys) && n.keys[i] == key {
		return n.fids[i], true
	}
	return Fid{}, false
}

// insert adds a name, or gives a name that is there another fid.
func (t *Tree) insert(key string, fid Fid) {
	right, separator := t.insertUnder(t.root, key, fid)
	if right == nil {
		return
	}
	root := t.newNode(t.root.level + 1)
	root.keys = append(root.keys, separator)
	root.children = append(root.children, t.root, right)
	t.root = root
	t.height++
}

// insertUnder inserts below n. If n had to be split, it returns the new right
// half and the key that separates the two.
func (t *Tree) insertUnder(n *Node, key string, fid Fid) (*Node, string) {
	if n.level == 0 {
		i := sort.SearchStrings(n.keys, key)
		if i < len(n.keys) && n.keys[i] == key {
			n.fids[i] = fid
			return nil, ""
		}
		n.keys = append(n.keys, "")
		copy(n.keys[i+1:], n.keys[i:])
		n.keys[i] = key
		n.fids = append(n.fids, Fid{})
		copy(n.fids[i+1:], n.fids[i:])
		n.fids[i] = fid
		t.size++
	} else {
		i := n.child(key)
		right, separator := t.insertUnder(n.children[i], key, fid)
		if right == nil {
			return nil, ""
		}
		n.keys = append(n.keys, "")
		copy(n.keys[i+1:], n.keys[i:])
		n.keys[i] = separator
		n.children = append(n.children, nil)
		copy(n.children[i+2:], n.children[i+1:])
		n.children[i+1] = right
	}
	if len(n.keys) <= t.fanout {
		return nil, ""
	}
	return t.split(n)
}

func (t *Tree) split(n *Node) (*Node, string) {
	right := t.newNode(n.level)
	middle := len(n.keys) / 2
	separator := n.keys[middle]
	if n.level == 0 {
		right.keys = append(right.keys, n.keys[middle:]...)
		right.fids = append(right.fids, n.fids[middle:]...)
		n.fids = n.fids[:middle]
		right.next, n.next = n.next, right
	} else {
		right.keys = append(right.keys, n.keys[middle+1:]...)
		right.children = append(right.children, n.children[middle+1:]...)
		for i := middle + 1; i < len(n.children); i++ {
			n.children[i] = nil
		}
		n.children = n.children[:middle+1]
	}
	for i := middle; i < len(n.keys); i++ {
		n.keys[i] = ""
	}
	n.keys = n.keys[:middle]
	return right, separator
}

// remove takes a name out. Leaves are not merged: names come and go in the
// same ranges here, so that an empty leaf soon fills again.
func (t *Tree) remove(key string) bool {
	n := t.leaf(key)
	i := sort.SearchStrings(n.keys, key)
	if i == len(n.keys) || n.keys[i] != key {
		return false
	}
	last := len(n.keys) - 1
	copy(n.keys[i:], n.keys[i+1:])
	n.keys[last] = ""
	n.keys = n.keys[:last]
	copy(n.fids[i:], n.fids[i+1:])
	n.fids = n.fids[:last]
	t.size--
	return true
}

// scan calls visit for every name from start on, in order, until visit returns false.
func (t *Tree) scan(start string, visit func(key string, fid Fid) bool) {
	n := t.leaf(start)
	i := sort.SearchStrings(n.keys, start)
	for ; n != nil; n, i = n.next, 0 {
		for ; i < len(n.keys); i++ {
			if !visit(n.keys[i], n.fids[i]) {
				return
			}
		}
	}
}

// scanPrefix is scan for the names that begin with prefix.
func (t *Tree) scanPrefix(prefix string, visit func(key string, fid Fid) bool) {
	t.scan(prefix, func(key string, fid Fid) bool {
		return strings.HasPrefix(key, prefix) && visit(key, fid)
	})
}

// check reports every violation of what a b-tree promises.
func (t *Tree) check(report func(format string, args ...interface{})) {
	if t.root.level != t.height-1 {
		report("b-tree: height %d, but the root is at level %d", t.height, t.root.level)
	}
	var leaves []*Node
	reached, names := 0, 0
	var walk func(n *Node, low, high string, bounded bool)
	walk = func(n *Node, low, high string, bounded bool) {
		reached++
		if t.nodes[n.id] != n {
			report("b-tree: node %d is not in the table of nodes", n.id)
		}
		if len(n.keys) > t.fanout {
			report("b-tree: node %d has %d keys, more than %d", n.id, len(n.keys), t.fanout)
		}
		for i, key := range n.keys {
			if key < low || bounded && key >= high {
				report("b-tree: node %d: key %q is out of its parent's range", n.id, key)
			}
			if i > 0 && n.keys[i-1] >= key {
				report("b-tree: node %d: keys %d and %d are out of order", n.id, i-1, i)
			}
		}
		if n.level == 0 {
			if len(n.fids) != len(n.keys) {
				report("b-tree: leaf %d has %d keys and %d fids", n.id, len(n.keys), len(n.fids))
			}
			names += len(n.keys)
			leaves = append(leaves, n)
			return
		}
		if len(n.children) != len(n.keys)+1 {
			report("b-tree: node %d has %d keys and %d children", n.id, len(n.keys), len(n.children))
			return
		}
		for i, c := range n.children {
			if c.level != n.level-1 {
				report("b-tree: node %d at level %d has a child %d at level %d", n.id, n.level, c.id, c.level)
				continue
			}
			l, h, b := low, high, bounded
			if i > 0 {
				l = n.keys[i-1]
			}
			if i < len(n.keys) {
				h, b = n.keys[i], true
			}
			walk(c, l, h, b)
		}
	}
	walk(t.root, "", "", false)
	for i, leaf := range leaves {
		var next *Node
		if i+1 < len(leaves) {
			next = leaves[i+1]
		}
		if leaf.next != next {
			report("b-tree: leaf %d is not linked to the leaf on its right", leaf.id)
		}
	}
	if reached != len(t.nodes) {
		report("b-tree: %d nodes reached from the root, %d in the table", reached, len(t.nodes))
	}
	if names != t.size {
		report("b-tree: %d names found, size says %d", names, t.size)
	}
}

func (n *Node) String() string { return fmt.Sprintf("node %d (level %d)", n.id, n.level) }
