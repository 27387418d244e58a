// Cron has a scheduler of robfig/cron run two jobs for some seconds. It says how often they ran, and ends.
package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/robfig/cron/v3"
)

type job struct{ runs atomic.Int64 }

//go:noinline
func (j *job) Run() { j.runs.Add(1) }

func main() {
	c := cron.New()
	first, second := &job{}, &job{}
	must(c.AddJob("@every 1s", first))
	id := must(c.AddJob("@every 2s", second))
	c.Start()
	time.Sleep(2300 * time.Millisecond)
	c.Remove(id)
	time.Sleep(time.Second)
	<-c.Stop().Done()
	fmt.Printf("runs=%d entries=%d\n", first.runs.Load()+second.runs.Load(), len(c.Entries()))
}

func must(id cron.EntryID, err error) cron.EntryID {
	if err != nil {
		panic(err)
	}
	return id
}
