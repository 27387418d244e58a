package main

import "unsafe"

type tree struct {
	Key         int
	Left, Right *tree
	Parent      *tree
	Kids        []tree
	ByName      map[string]tree
}

type selfPtr *selfPtr

var (
	nilPtr     *int
	number     = 42
	numberPtr  = &number
	ptrPtr     = &numberPtr
	unitPtr    = &struct{}{}
	interior   = &grid[1][1].Y
	circular   = &node{Name: "a"}
	itself     selfPtr
	root       = &tree{Key: 10, Left: &tree{Key: 5}, Kids: []tree{{Key: 1}, {Key: 2}}, ByName: map[string]tree{"x": {Key: 3}}}
	rawNil     unsafe.Pointer
	raw        = unsafe.Pointer(&number)
	asInteger  = uintptr(unsafe.Pointer(&number))
	chainOfTen *node
)

func pointers() {
	circular.Next = &node{"b", &node{"c", circular}}
	itself = &itself
	root.Left.Parent = root
	root.Right = root
	for i := 0; i < 10; i++ {
		chainOfTen = &node{string(rune('a' + i)), chainOfTen}
	}
	say("main.nilPtr", &nilPtr)
	say("main.numberPtr", &numberPtr)
	say("*main.numberPtr", &number)
	say("**main.ptrPtr", &number)
	say("*(*main.ptrPtr)", &number)
	say("*&main.number", &number)
	say("main.ptrPtr", &ptrPtr)
	say("main.unitPtr", &unitPtr)
	say("main.interior", &interior)
	say("main.circular", &circular)
	say("main.circular.Next.Next.Next.Name", &circular.Name)
	say("main.itself", &itself)
	say("main.root", &root)
	say("main.root.Left.Parent.Kids[1].Key", &root.Kids[1].Key)
	looked(`main.root.ByName["x"].Key`, 3)
	say("main.rawNil", &rawNil)
	say("main.raw", &raw)
	say("*(*int)(main.raw)", &number)
	say("main.asInteger", &asInteger)
	say("*(*int)(main.asInteger)", &number)
	say("main.chainOfTen", &chainOfTen)
}
