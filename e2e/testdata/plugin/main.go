// Host loads a plugin.
package main

import (
	"fmt"
	"os"
	"plugin"
	"time"
)

var got any

func main() {
	p, err := plugin.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	start, err := p.Lookup("Start")
	if err != nil {
		panic(err)
	}
	got = start.(func() any)()
	time.Sleep(time.Second) // the goroutines wait
	fmt.Println("ready")
	time.Sleep(time.Hour)
	fmt.Println(got)
}
