package main

import "sync"

// Keys that are nil, structs and arrays.

type Place struct {
	Container string
	Key       int
	At        Point
}

var (
	nilKeys  map[*Node]string
	anyKeys  map[any]string
	nilSync  sync.Map
	places   map[Place]string
	corners  map[[2]int]string
	anyPlace map[any]int
)

func init() {
	nilKeys = map[*Node]string{nil: "none", {value: 7}: "seven"}
	anyKeys = map[any]string{nil: "none", 1: "one", Point{1, 2}: "point"}
	nilSync.Store(nil, "none")
	nilSync.Store("a", "some")
	places = map[Place]string{{"a", 1, Point{}}: "a1", {"b", 2, Point{3, 4}}: "b2"}
	corners = map[[2]int]string{{1, 2}: "12", {0, 0}: "00"}
	anyPlace = map[any]int{Place{"a", 1, Point{}}: 1}
}
