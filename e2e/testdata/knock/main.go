// Knock connects to an address (network, address), asks Delve's API which version it is, and prints the answer:
// nothing, if it isn't let in.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
)

func main() {
	c, err := net.Dial(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(c, `{"method":"RPCServer.GetVersion","params":[{}],"id":1}`)
	answer := make([]byte, 1<<16)
	n, _ := io.ReadAtLeast(c, answer, 1)
	os.Stdout.Write(answer[:n])
}
