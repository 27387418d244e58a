package main

import (
	"reflect"

	"kinds/internal/thing/v2"
	"kinds/internal/yaml.v3"
)

type Pair[K comparable, V any] struct {
	Key K
	Val V
}

type Stack[T any] struct {
	Items []T
	Under *Stack[T]
}

type List[T any] struct {
	Head *Item[T]
	Len  int
}

type Item[T any] struct {
	Value T
	Next  *Item[T]
	list  *List[T]
}

func (l *List[T]) push(v T) {
	l.Head = &Item[T]{v, l.Head, l}
	l.Len++
}

type Number interface{ ~int | ~float64 }

type Vector[N Number] []N

type Keyed[K comparable] map[K][]Pair[K, K]

var (
	aPair       = Pair[string, int]{"key", 9}
	nestedPair  = Pair[Pair[int, string], Pair[string, []point]]{Pair[int, string]{1, "one"}, Pair[string, []point]{"p", []point{{1, 2}}}}
	pairPtr     = &Pair[*point, any]{&points[0], aPair}
	genericList List[string]
	seasonList  = List[Pair[string, season]]{}
	aVector     = Vector[float64]{1.5, -2}
	aKeyed      = Keyed[string]{"a": {{"b", "c"}}}
	dotted      = Pair[yaml.Kind, *yaml.Node]{yaml.Mapping, &yaml.Node{Kind: yaml.Mapping, Tag: "!!map"}}
	versioned   = Pair[thing.ID, thing.Thing]{5, thing.Thing{ID: 5, Name: "five"}}
	ofLocal     = localType()
)

func localType() any {
	type inner struct{ A, B int }
	return Pair[string, inner]{"local", inner{1, 2}}
}

func generics(r *report) {
	for _, s := range []string{"c", "b", "a"} {
		genericList.push(s)
	}
	seasonList.push(Pair[string, season]{"s", Summer})
	say("main.aPair", &aPair)
	say("main.aPair.Val", &aPair.Val)
	say("main.nestedPair", &nestedPair)
	say("main.nestedPair.Val.Val[0].Y", &nestedPair.Val.Val[0].Y)
	say("main.pairPtr", &pairPtr)
	looked("main.pairPtr.Val.(main.Pair[string, int]).Key", "key")
	say("main.genericList", &genericList)
	say("main.genericList.Head.Next.Value", &genericList.Head.Next.Value)
	say("main.seasonList", &seasonList)
	say("main.aVector", &aVector)
	say("main.aVector[1]", &aVector[1])
	say("main.aKeyed", &aKeyed)
	say("main.dotted", &dotted)
	say("main.dotted.Val.Tag", &dotted.Val.Tag)
	say("main.versioned", &versioned)
	say("main.ofLocal", &ofLocal)
	say("yaml.Default", &yaml.Default)
	say("kinds/internal/yaml.v3.Default", &yaml.Default)
	say("kinds/internal/yaml.v3.Default.Tag", &yaml.Default.Tag)
	say(`"kinds/internal/yaml.v3".Default.Tag`, &yaml.Default.Tag)
	say("yaml.Default.Kind", &yaml.Default.Kind)
	say("thing.All", &thing.All)
	say("thing.All[1].Name", &thing.All[1].Name)
	say("kinds/internal/thing/v2.All[0].ID", &thing.All[0].ID)
	say("yaml.Hook", &yaml.Hook)
	say("thing.Hook", &thing.Hook)
	r.Captured = append(r.Captured, local{"thing.Hook", "prefix", "string", text(reflect.ValueOf(thing.Prefix)), true})
}
