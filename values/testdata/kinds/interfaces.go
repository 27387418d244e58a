package main

import (
	"errors"
	"fmt"
	"io"
	"unsafe"
)

type onePtr struct{ P *int }
type onePtrDeep struct {
	_ struct{}
	I struct{ P *int }
}
type oneFunc struct{ F func() }
type oneMap struct{ M map[string]int }
type oneWord struct{ N uint64 }
type writer struct{ n int }

func (w *writer) Write(p []byte) (int, error) { w.n += len(p); return len(p), nil }

type byValue struct{ A, B string }

func (b byValue) String() string { return b.A }

type smallError uint8

func (e smallError) Error() string { return "small" }

var (
	nilAny       any
	nilError     error
	anyInt       any = 7
	anyBig       any = 1 << 40
	anyByte      any = uint8(200)
	anyBool      any = true
	anyFloat     any = 2.5
	anyText      any = "text"
	anyEmpty     any = ""
	anySlice     any = []int{1, 2}
	anyMap       any = map[string]int{"a": 1}
	anyNilMap    any = map[string]int(nil)
	anyStruct    any = point{3, 4}
	anyPtr       any = &points[1]
	anyNilPtr    any = (*point)(nil)
	anyUnit      any = struct{}{}
	anyOnePtr    any = onePtr{&number}
	anyOneDeep   any = onePtrDeep{I: struct{ P *int }{&number}}
	anyPtrArray  any = [1]*int{&number}
	anyPtrArrays any = [1][1]onePtr{{{&number}}}
	anyOneFunc   any = oneFunc{numbers}
	anyOneMap    any = oneMap{map[string]int{"z": 26}}
	anyOneWord   any = oneWord{1 << 60}
	anyFunc      any = numbers
	anyChan      any = closedEmpty
	anyRaw       any = unsafe.Pointer(&number)
	anyArray     any = [3]int{1, 2, 3}
	anyAnon      any = struct {
		X int
		Y any
	}{1, "inner"}
	anyOfAnys    any = []any{1, "a", nil, []any{2.5}}
	anyReflected any
	aWriter      io.Writer    = &writer{3}
	aStringer    fmt.Stringer = byValue{"a", "b"}
	nilTyped     error        = (*fs)(nil)
	smallErr     error        = smallError(3)
	plainErr                  = errors.New("plain")
	wrappedErr                = fmt.Errorf("outer: %w", plainErr)
	wrappedTwice              = fmt.Errorf("again: %w", wrappedErr)
)

type fs struct{}

func (*fs) Error() string { return "fs" }

func interfaces() {
	say("main.nilAny", &nilAny)
	say("main.nilError", &nilError)
	say("main.anyInt", &anyInt)
	say("main.anyBig", &anyBig)
	say("main.anyByte", &anyByte)
	say("main.anyBool", &anyBool)
	say("main.anyFloat", &anyFloat)
	say("main.anyText", &anyText)
	say("main.anyEmpty", &anyEmpty)
	say("main.anySlice", &anySlice)
	say("main.anyMap", &anyMap)
	say("main.anyNilMap", &anyNilMap)
	say("main.anyStruct", &anyStruct)
	say("main.anyPtr", &anyPtr)
	say("main.anyNilPtr", &anyNilPtr)
	say("main.anyUnit", &anyUnit)
	say("main.anyOnePtr", &anyOnePtr)
	say("main.anyOneDeep", &anyOneDeep)
	say("main.anyPtrArray", &anyPtrArray)
	say("main.anyPtrArrays", &anyPtrArrays)
	say("main.anyOneFunc", &anyOneFunc)
	say("main.anyOneMap", &anyOneMap)
	say("main.anyOneWord", &anyOneWord)
	say("main.anyFunc", &anyFunc)
	say("main.anyChan", &anyChan)
	say("main.anyRaw", &anyRaw)
	say("main.anyArray", &anyArray)
	say("main.anyAnon", &anyAnon)
	say("main.anyOfAnys", &anyOfAnys)
	say("main.aWriter", &aWriter)
	say("main.aStringer", &aStringer)
	say("main.nilTyped", &nilTyped)
	say("main.smallErr", &smallErr)
	say("main.plainErr", &plainErr)
	say("main.wrappedErr", &wrappedErr)
	say("main.wrappedTwice", &wrappedTwice)
	looked("main.anyStruct.Y", 4)
	looked("main.anyPtr.X", 3)
	looked("main.anyOnePtr.P", &number)
	looked("*main.anyOnePtr.P", number)
	looked("main.anyStruct.(main.point).X", 3)
	looked("main.anyPtr.(*main.point).Y", 4)
	looked("main.anySlice[1]", 2)
	looked(`main.anyMap["a"]`, 1)
	looked("main.anyArray[2]", 3)
	looked("main.anyOfAnys[3][0].(float64)", 2.5)
	looked("main.anyAnon.Y.(string)", "inner")
	looked("main.aWriter.n", 3)
	looked("main.aStringer.B", "b")
	looked("main.wrappedTwice.err.err.s", "plain")
	looked("(*main.writer)(main.aWriter.(*main.writer)).n", 3)
	looked(`main.anyOneMap.M["z"]`, 26)
}
