package main

import "time"

type season int

const (
	Winter season = iota
	Spring
	Summer
	Autumn
)

func (s season) String() string { return [...]string{"winter", "spring", "summer", "autumn"}[s&3] }

// grade has the values of season and none of its names.
type grade int

// level has names of its own for the same values.
type level int8

const (
	Low level = iota - 1
	Mid
	High
)

type flags uint16

const (
	FlagRead flags = 1 << iota
	FlagWrite
	FlagExec
)

type wide uint64

const Top wide = 1 << 63

type alias = season

var (
	aSeason           = Summer
	otherSeason       = season(17)
	aliased     alias = Spring
	aGrade            = grade(2)
	aLevel            = Low
	aFlag             = FlagWrite
	mixed             = FlagRead | FlagExec
	aWide             = Top
	plainTwo          = 2
	seasons           = []season{Winter, Autumn}
	pause             = 90 * time.Second
	weekday           = time.Saturday
	month             = time.March
)

func named() {
	if aLevel == Mid || aLevel == High || aFlag == FlagExec || aSeason == Autumn {
		panic("the compiler keeps constants that are used")
	}
	say("main.aSeason", &aSeason)
	say("main.otherSeason", &otherSeason)
	say("main.aliased", &aliased)
	say("main.aGrade", &aGrade)
	say("main.aLevel", &aLevel)
	say("main.aFlag", &aFlag)
	say("main.mixed", &mixed)
	say("main.aWide", &aWide)
	say("main.plainTwo", &plainTwo)
	say("main.seasons", &seasons)
	say("main.pause", &pause)
	say("main.weekday", &weekday)
	say("main.month", &month)
}
