package main

type point struct{ X, Y int }

type blank struct {
	A    int8
	_    int32
	B    struct{}
	_    [0]func()
	C    bool
	Last struct{}
}

var (
	noArray     [0]int
	emptyArray  [3]struct{}
	numberArray = [4]int16{1, -2, 3, -4}
	grid        = [2][3]point{{{1, 2}, {3, 4}}, {{}, {5, 6}, {7, 8}}}
	nilSlice    []int
	emptySlice  = []int{}
	numberSlice = make([]int, 3, 10)
	points      = []point{{1, 2}, {3, 4}}
	nested      = [][]string{nil, {}, {"a"}, {"b", "c"}}
	arrayView   = numberArray[1:3]
	arrayPtr    = &numberArray
	pointPtrs   = []*point{{9, 8}, nil, &points[0]}
	longSlice   = make([]uint32, 100_000)
	unitSlice   = make([]struct{}, 1<<40)
	blanks      = blank{A: 1, C: true}
	anonymous   = struct {
		Name  string
		Inner struct{ N int }
		List  []struct{ K, V string }
	}{"x", struct{ N int }{7}, []struct{ K, V string }{{"k", "v"}}}
)

func lists() {
	copy(numberSlice, []int{7, 8, 9})
	for i := range longSlice {
		longSlice[i] = uint32(i * i)
	}
	say("main.noArray", &noArray)
	say("main.emptyArray", &emptyArray)
	say("main.numberArray", &numberArray)
	say("main.numberArray[3]", &numberArray[3])
	say("main.grid", &grid)
	say("main.grid[1][2].Y", &grid[1][2].Y)
	say("main.nilSlice", &nilSlice)
	say("main.emptySlice", &emptySlice)
	say("main.numberSlice", &numberSlice)
	say("main.numberSlice[0x2]", &numberSlice[2])
	say("main.points[1].X", &points[1].X)
	say("main.points", &points)
	say("main.nested", &nested)
	say("main.nested[3][1]", &nested[3][1])
	say("main.arrayView", &arrayView)
	say("main.arrayPtr", &arrayPtr)
	say("main.arrayPtr[2]", &arrayPtr[2])
	say("(*main.arrayPtr)[2]", &arrayPtr[2])
	say("main.pointPtrs", &pointPtrs)
	say("main.pointPtrs[2].Y", &pointPtrs[2].Y)
	say("main.longSlice", &longSlice)
	say("main.longSlice[99999]", &longSlice[99999])
	say("main.unitSlice[12345678]", &unitSlice[12345678])
	say("main.blanks", &blanks)
	say("main.blanks.C", &blanks.C)
	say("main.anonymous", &anonymous)
	say("main.anonymous.Inner.N", &anonymous.Inner.N)
	say("main.anonymous.List[0].V", &anonymous.List[0].V)
}
