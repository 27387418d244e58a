package main

type base struct {
	ID    int
	Label string
}

type middle struct {
	base
	Level int
	Label string // hides base's
}

type pointed struct{ Remote string }

type top struct {
	middle
	*pointed
	Self  *top
	named base
}

type left struct{ Both, OnlyLeft int }
type right struct{ Both, OnlyRight int }
type twoSides struct {
	left
	right
}

// The same type twice at one depth: its fields are ambiguous.
type viaLeft struct{ base }
type viaRight struct{ base }
type diamond struct {
	viaLeft
	viaRight
}

type viaPointer struct{ *middle }

type mutexLike struct{ state int32 }
type locked struct {
	mutexLike
	Value int
}

type embedsGeneric struct {
	Pair[string, int]
	*Stack[int]
}

type embedsInterface struct {
	error
	N int
}

type number64 int64
type embedsNumber struct {
	number64
	N int
}

var (
	tall       = top{middle: middle{base{7, "hidden"}, 2, "shown"}, pointed: &pointed{"far"}, named: base{8, "named"}}
	sides      = twoSides{left{1, 2}, right{3, 4}}
	crossed    = diamond{viaLeft{base{1, "l"}}, viaRight{base{2, "r"}}}
	byPointer  = viaPointer{&middle{base: base{9, "p"}}}
	noEmbedded = viaPointer{}
	lock       = locked{mutexLike{5}, 6}
	genericIn  = embedsGeneric{Pair[string, int]{"k", 1}, &Stack[int]{Items: []int{1, 2}}}
	errorIn    = embedsInterface{N: 3}
	numberIn   = embedsNumber{number64(4), 5}
)

func embedding() {
	tall.Self = &tall
	say("main.tall", &tall)
	say("main.tall.ID", &tall.ID)
	say("main.tall.Label", &tall.Label)
	say("main.tall.base.Label", &tall.base.Label)
	say("main.tall.middle.base.Label", &tall.middle.base.Label)
	say("main.tall.Remote", &tall.Remote)
	say("main.tall.pointed.Remote", &tall.Remote)
	say("main.tall.Self.Self.Remote", &tall.Remote)
	say("main.tall.named.Label", &tall.named.Label)
	say("main.sides.OnlyRight", &sides.OnlyRight)
	say("main.sides.right.Both", &sides.right.Both)
	say("main.crossed.viaRight.ID", &crossed.viaRight.ID)
	say("main.byPointer.ID", &byPointer.ID)
	say("main.byPointer.base.Label", &byPointer.base.Label)
	say("main.noEmbedded", &noEmbedded)
	say("main.lock.state", &lock.state)
	say("main.genericIn.Key", &genericIn.Key)
	say("main.genericIn.Items[1]", &genericIn.Items[1])
	say("main.genericIn.Pair", &genericIn.Pair)
	say("main.errorIn", &errorIn)
	say("main.numberIn.number64", &numberIn.number64)
}
