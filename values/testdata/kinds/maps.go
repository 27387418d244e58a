package main

import "fmt"

type largeKey struct {
	ID  int
	Pad [130]byte
}

type largeValue [200]byte

type node struct {
	Name string
	Next *node
}

var (
	nilMap      map[string]int
	emptyMap    = map[string]int{}
	roomyMap    = make(map[int]int, 1000)
	smallMap    = map[string]int{"one": 1, "two": 2, "": 0, "\xff\x00": 4}
	fullGroup   = map[int]string{}
	grownMap    = map[int]string{}
	sparseMap   = map[int]int{}
	clearedMap  = map[int]int{}
	growingMaps = make([]map[int]int64, 60)
	samePlace   = map[string][]int{}
	uint8Map    = map[uint8]int8{}
	structKeys  = map[point]string{{1, 2}: "a", {3, 4}: "b"}
	arrayKeys   = map[[2]string]int{{"a", "b"}: 1, {"", "c"}: 2}
	floatKeys   = map[float64]string{0.5: "half", 3: "three"}
	boolKeys    = map[bool]string{true: "t", false: "f"}
	anyKeys     = map[any]string{1: "int", "1": "string", 1.5: "float", point{1, 2}: "point", true: "bool", uint8(1): "uint8", int64(1): "int64", [1]string{"x"}: "array", nil: "nil"}
	stringers   = map[fmt.Stringer]int{season(1): 1, (*season)(nil): 2}
	pointerKeys = map[*node]int{}
	largeKeys   = map[largeKey]int{}
	largeValues = map[int]largeValue{}
	largeBoth   = map[largeKey]largeValue{}
	set         = map[string]struct{}{"a": {}, "b": {}}
	unitKeys    = map[struct{}]int{{}: 7}
	mapOfMaps   = map[string]map[string][]int{"x": {"y": {1, 2, 3}}, "nil": nil}
	structMap   = map[string]point{"origin": {}, "far": {1 << 40, -1}}
	nodeMap     = map[string]*node{"first": {"1", &node{"2", nil}}}
	namedMap    = registry{"a": {Name: "a"}}
	chanKeys    = map[chan int]string{}
)

type registry map[string]*node

func maps() {
	for i := 0; i < 8; i++ {
		fullGroup[i] = fmt.Sprint("number ", i)
	}
	for i := 0; i < 10_000; i++ {
		grownMap[i*7] = fmt.Sprint(i)
	}
	for i := 0; i < 5000; i++ {
		sparseMap[i] = i
	}
	for i := 0; i < 5000; i++ {
		if i%17 != 0 {
			delete(sparseMap, i)
		}
	}
	for i := 0; i < 100; i++ {
		clearedMap[i] = i
	}
	for i := 0; i < 100; i++ {
		delete(clearedMap, i)
	}
	// Bucket maps grow when they hold more than 6.5 entries a bucket and move two buckets with each write: some of these
	// sizes stand in the middle of it.
	for i := range growingMaps {
		growingMaps[i] = map[int]int64{}
		for k := 0; k < 200+i; k++ {
			growingMaps[i][k] = int64(k) << 32
		}
		for k := 0; k < i; k += 3 {
			delete(growingMaps[i], k)
		}
	}
	// One place for all, written over and over: same-size growth, and tombstones.
	for i := 0; i < 3000; i++ {
		samePlace[fmt.Sprint(i)] = []int{i}
		if i >= 20 {
			delete(samePlace, fmt.Sprint(i-20))
		}
	}
	for i := 0; i < 256; i++ {
		uint8Map[uint8(i)] = int8(i - 128)
	}
	for i := 0; i < 20; i++ {
		pointerKeys[&node{Name: fmt.Sprint(i)}] = i
		largeKeys[largeKey{ID: i}] = i
		largeValues[i] = largeValue{byte(i), 199: byte(i)}
		largeBoth[largeKey{ID: -i}] = largeValue{byte(i)}
		chanKeys[make(chan int, i)] = fmt.Sprint(i)
	}
	say("main.nilMap", &nilMap)
	say("main.emptyMap", &emptyMap)
	say("main.roomyMap", &roomyMap)
	say("main.smallMap", &smallMap)
	say("main.fullGroup", &fullGroup)
	say("main.grownMap", &grownMap)
	say("main.sparseMap", &sparseMap)
	say("main.clearedMap", &clearedMap)
	say("main.growingMaps", &growingMaps)
	for i := range growingMaps {
		say(fmt.Sprintf("main.growingMaps[%d]", i), &growingMaps[i])
	}
	say("main.samePlace", &samePlace)
	say("main.uint8Map", &uint8Map)
	say("main.structKeys", &structKeys)
	say("main.arrayKeys", &arrayKeys)
	say("main.floatKeys", &floatKeys)
	say("main.boolKeys", &boolKeys)
	say("main.anyKeys", &anyKeys)
	say("main.stringers", &stringers)
	say("main.pointerKeys", &pointerKeys)
	say("main.largeKeys", &largeKeys)
	say("main.largeValues", &largeValues)
	say("main.largeBoth", &largeBoth)
	say("main.set", &set)
	say("main.unitKeys", &unitKeys)
	say("main.mapOfMaps", &mapOfMaps)
	say("main.structMap", &structMap)
	say("main.nodeMap", &nodeMap)
	say("main.namedMap", &namedMap)
	say("main.chanKeys", &chanKeys)
	looked(`main.smallMap["two"]`, smallMap["two"])
	looked(`main.smallMap["\xff\x00"]`, smallMap["\xff\x00"])
	looked(`main.grownMap[69993]`, grownMap[69993])
	looked(`main.uint8Map[255]`, uint8Map[255])
	looked(`main.floatKeys[0.5]`, floatKeys[0.5])
	looked(`main.floatKeys[3]`, floatKeys[3])
	looked(`main.boolKeys[true]`, boolKeys[true])
	looked(`main.anyKeys["1"]`, anyKeys["1"])
	looked(`main.anyKeys[1.5]`, anyKeys[1.5])
	looked(`main.anyKeys[true]`, anyKeys[true])
	looked(`main.mapOfMaps["x"]["y"][2]`, mapOfMaps["x"]["y"][2])
	looked(`main.structMap["far"].X`, structMap["far"].X)
	looked(`main.nodeMap["first"].Next.Name`, nodeMap["first"].Next.Name)
	looked(`main.structKeys[main.points[0]]`, structKeys[points[0]])
	looked(`main.namedMap["a"].Name`, namedMap["a"].Name)
	looked(`len(main.grownMap)`, len(grownMap))
	looked(`cap(main.numberSlice)`, cap(numberSlice))
}

// looked notes the truth of an expression whose value has no address in Go.
func looked[T any](expr string, v T) {
	say(expr, &v)
	truths[len(truths)-1].Addr = 0
}
