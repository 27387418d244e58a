// Command garden is what the tests of the shell look at: some beds, and a wait.
package main

import (
	"fmt"
	"os"
)

type bed struct {
	name   string
	plants []string
	next   *bed
}

var (
	north = &bed{name: "north", plants: []string{"leek", "kale"}}
	south = &bed{name: "south", next: north}
	rows  = map[string]*bed{"n": north, "s": south}
)

func main() {
	fmt.Println("ready")
	os.Stdin.Read(make([]byte, 1))
	fmt.Println(len(rows), south)
}
