// Command hostile calls everything by a name that a test replaces, in its executable, by what a terminal obeys:
// XPAYLOADXPAYLOADXPAY. So the payload is in names of types, fields, functions, variables, files and modules as well as
// in all that the program has in memory.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"
)

const payload = "XPAYLOADXPAYLOADXPAY"

type TypeXPAYLOADXPAYLOADXPAY struct {
	FieldXPAYLOADXPAYLOADXPAY string
	Plain                     map[string]int
	Any                       any
	mu                        sync.Mutex
	Next                      *TypeXPAYLOADXPAYLOADXPAY
}

// Holder has a name that can be typed.
type Holder struct {
	Text   string
	Limit  int
	Map    map[string]*TypeXPAYLOADXPAYLOADXPAY
	List   []string
	Bytes  []byte
	Err    error
	Queue  chan string
	Inner  TypeXPAYLOADXPAYLOADXPAY
	Inners map[TypeKey]string
}

type TypeKey struct{ A, B string }

var (
	VarXPAYLOADXPAYLOADXPAY = payload
	a, b                    TypeXPAYLOADXPAYLOADXPAY
	held                    sync.WaitGroup // the two that will wait for each other have their first lock
	holder                  = &Holder{
		Text: payload, List: []string{payload, payload}, Bytes: []byte(payload), Err: fmt.Errorf("failed: %s", payload),
		Queue: make(chan string, 2),
		Map: map[string]*TypeXPAYLOADXPAYLOADXPAY{payload: {FieldXPAYLOADXPAYLOADXPAY: payload,
			Plain: map[string]int{payload: 1}, Any: payload}},
		Inners: map[TypeKey]string{{payload, payload}: payload},
	}
)

func main() {
	holder.Queue <- payload
	folder := os.Getenv("FOLDER")
	file, err := os.Create(filepath.Join(folder, payload))
	check(err)
	defer file.Close()
	listener, err := net.Listen("unix", filepath.Join(folder, "s"+payload))
	check(err)
	go accept(listener)
	held.Add(2)
	go funcXPAYLOADXPAYLOADXPAY(&a, &b)
	go funcXPAYLOADXPAYLOADXPAY(&b, &a)
	for i := 0; i < 3; i++ {
		go pprof.Do(context.Background(), pprof.Labels(payload, payload, "plain", payload), labelled)
	}
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), TypeKey{payload, payload}, payload),
		time.Hour)
	defer cancel()
	go waits(ctx, payload)
	timer := time.AfterFunc(time.Hour, func() { fmt.Println(payload) })
	defer timer.Stop()
	die := make(chan os.Signal, 1)
	signal.Notify(die, syscall.SIGUSR1)
	go func() {
		<-die
		panic(fmt.Errorf("died of %s", payload))
	}()
	held.Wait()
	fmt.Println("ready")
	select {}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func accept(l net.Listener) {
	for {
		if _, err := l.Accept(); err != nil {
			return
		}
	}
}

//go:noinline
func funcXPAYLOADXPAYLOADXPAY(first, second *TypeXPAYLOADXPAYLOADXPAY) {
	first.mu.Lock()
	held.Done()
	held.Wait()
	second.mu.Lock()
	second.FieldXPAYLOADXPAYLOADXPAY = VarXPAYLOADXPAYLOADXPAY
	second.mu.Unlock()
	first.mu.Unlock()
}

func labelled(context.Context) { select {} }

//go:noinline
func waits(ctx context.Context, text string) {
	var wait sync.WaitGroup
	wait.Add(1)
	wait.Wait()
	fmt.Println(ctx, text, holder, VarXPAYLOADXPAYLOADXPAY)
}
