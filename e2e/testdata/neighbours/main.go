// neighbours listens at a Unix socket, or dials it, has children, and waits.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"time"
)

func main() {
	if os.Args[1] == "dial" {
		c := must(net.Dial("unix", os.Args[2]))
		go talk(c)
	} else {
		l := must(net.Listen("unix", os.Args[2]))
		go serve(l)
		go wait()
		must(0, exec.Command("true").Start()) // nobody waits for it
	}
	fmt.Println("ready")
	time.Sleep(time.Hour)
}

func serve(l net.Listener) {
	for {
		go answer(must(l.Accept()))
	}
}

func answer(c net.Conn) { io.Copy(io.Discard, c) }

func talk(c net.Conn) { c.Read(make([]byte, 1)) }

// wait has a child that reads from a pipe which nobody writes to, and waits for it.
func wait() {
	cmd := exec.Command("cat")
	kept = must(cmd.StdinPipe())
	must(0, cmd.Start())
	cmd.Wait()
}

var kept io.Closer

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
