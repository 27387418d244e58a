// Prometheus has the types of github.com/prometheus/prometheus v0.315.0 in which its status is kept, well or ill.
package main

import (
	"errors"
	"fmt"
	"github.com/prometheus/prometheus/notifier"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/tsdb"
	"os"
)

func main() {
	c := make(chan int)
	if len(os.Args) > 1 {
		e := errors.New("it failed")
		go scrape.New("down", e).Run(c)
		go rules.New("err", e).Run(c)
		go notifier.New(3).Run(c)
		go tsdb.New(2).Run(c)
	} else {
		go scrape.New("up", nil).Run(c)
		go rules.New("ok", nil).Run(c)
		go notifier.New(0).Run(c)
		go tsdb.New(0).Run(c)
	}
	fmt.Println("ready")
	var in [1]byte
	os.Stdin.Read(in[:])
}
