package main

import (
	"container/list"
	"fmt"
	"math"
	"math/rand"
	"sync/atomic"
)

// What the loops that run in Go are tested on.

type Owner struct{ name string }

type Job struct {
	size  int
	owner *Owner
	parts
	weight float32
	state  State
	left   uint64
	debt   int8
	done   bool
	extra  any
	shape  Shape
	times  atomic.Int32
	self   atomic.Pointer[Job]
	link   struct{ next *Job }
	after  atomic.Pointer[Job]
	other  *Owner
}

type parts struct{ promoted uint16 }

type Record struct {
	size int
	next *Record
}

var (
	jobs      []*Job
	jobsByKey map[string]*Job
	jobValues [3]Job
	jobList   = list.New()
	jobQueue  = make(chan *Job, 4)
	anyJobs   []any
	badJobs   []*Job
	big64     = []uint64{math.MaxUint64, math.MaxUint64, 5}
	low64     = []int64{math.MinInt64, math.MaxInt64, -1}
	floats    = []float64{1.5, math.NaN(), math.Inf(-1), 2.25}
	ints      = []int{3, 1, 2}
	noInts    []int
	words     = []string{"b", "a", "b", ""}
	records   map[string]*Record
	shuffled  *Record // a chain through all records, each somewhere else
)

func makeJobs(n int) {
	ann, bob := &Owner{"ann"}, &Owner{"bob"}
	for i, size := range []int{5, 10, 8, 4, 20, 7} {
		j := &Job{size: size, owner: ann, weight: float32(size) / 2, state: State(i % 2), left: math.MaxUint64 - uint64(i),
			debt: int8(-i), done: i == 3}
		j.promoted = uint16(i)
		j.times.Store(int32(-i))
		if i == 2 || i == 3 {
			j.owner = bob
		}
		if i == 5 {
			j.owner = nil
		}
		j.extra, j.shape = size, Square{float64(size)}
		if i == 4 {
			j.extra, j.shape = "text", &Circle{4}
		}
		j.self.Store(j)
		if i > 0 {
			jobs[i-1].link.next = j
			jobs[i-1].after.Store(j)
		}
		jobs = append(jobs, j)
		jobList.PushBack(j)
		anyJobs = append(anyJobs, j)
	}
	anyJobs = append(anyJobs, nil, Job{size: 100})
	for i := range jobValues {
		jobValues[i].size = i + 1
	}
	jobsByKey = map[string]*Job{"a": jobs[0], "b": jobs[1], "none": nil}
	// The ring of the queue's buffer has its beginning in the middle.
	for i := 0; i < 3; i++ {
		jobQueue <- jobs[0]
		<-jobQueue
	}
	jobQueue <- jobs[1]
	jobQueue <- jobs[2]
	all := make([]*Record, n)
	records = make(map[string]*Record, n)
	for i := range all {
		all[i] = &Record{size: i}
		records[fmt.Sprint("record ", i)] = all[i]
	}
	rand.New(rand.NewSource(1)).Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, r := range all {
		r.next, shuffled = shuffled, r
	}
}
