// Program troubles gets into the troubles that its arguments name, one file each, and says "ready" once it is in them.
// Nothing here knows of ri.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"sort"
	"syscall"
)

// troubles start what they are named for and return when it has come about.
var troubles = map[string]func(){}

func main() {
	start(os.Args[1:])
	troubles = nil // what nobody can call any more is not to be taken for what may still come
	fmt.Println("ready")
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, os.Interrupt)
	<-end
}

//go:noinline
func start(names []string) {
	for _, name := range names {
		trouble := troubles[name]
		if trouble == nil {
			names := make([]string, 0, len(troubles))
			for name := range troubles {
				names = append(names, name)
			}
			sort.Strings(names)
			fmt.Fprintf(os.Stderr, "troubles: no %q; there are %v\n", name, names)
			os.Exit(2)
		}
		trouble()
	}
}
