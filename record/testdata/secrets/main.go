// Command secrets has secrets in many shapes, each with a text of its own: "planted-NAME-" and digits of its own.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"unique"
)

// planted makes a text that the executable doesn't have as a constant.
func planted(name string) string {
	return fmt.Sprintf("planted-%s-%d", name, len(name)*7919+4000000007)
}

type address struct {
	Street string
	Lines  [2]string
	Zip    [16]byte
}

type customer struct {
	Name     string // an innocent name
	Address  address
	Notes    []byte
	Tags     []string
	Extra    map[string]string
	Any      any
	Err      error
	Runes    []rune
	Words    [6]uint64
	Numbers  []int
	pin      int
	Password string
	Next     *customer
	Full     fmt.Stringer
}

type text string

func (t text) String() string { return string(t) }

var (
	customers  []*customer
	byName     = map[string]*customer{}
	byID       = map[[8]byte]string{}
	concurrent sync.Map
	queue      = make(chan string, 8)
	blocked    = make(chan customer)
	logged     bytes.Buffer
	header     = http.Header{}
	handler    func() string
	interned   unique.Handle[string]
	builder    strings.Builder
	parsed     map[string]any
	fromEnv    = os.Getenv("PLANTED")
	args       = os.Args
	lock       sync.Mutex
	stale      []*customer
	number     = 4111111111111111
)

//go:noinline
func park(secret string, c *customer, wait chan int) int {
	local := strings.ToUpper(secret)
	n := <-wait
	return n + len(local) + len(c.Name)
}

//go:noinline
func fail(secret string) (err error) {
	defer func() { err = fmt.Errorf("recovered: %v", recover()) }()
	panic(secret)
}

func main() {
	for i := range [3]int{} {
		c := &customer{Name: planted(fmt.Sprint("name", i)), pin: 90210 + i, Password: planted(fmt.Sprint("password", i))}
		c.Address = address{Street: planted("street"), Lines: [2]string{planted("line0"), planted("line1")}}
		copy(c.Address.Zip[:], planted("z"))
		c.Notes = append(make([]byte, 0, 256), planted("bytes")...)
		c.Tags = []string{planted("tag0"), planted("tag1")}
		c.Extra = map[string]string{planted("key"): planted("value")}
		c.Any, c.Err, c.Full = planted("any"), fmt.Errorf("wrapped: %w", fail(planted("panic"))), text(planted("named"))
		c.Runes = []rune(planted("runes"))
		for i, b := range []byte(planted("words")) {
			c.Words[i/8%6] |= uint64(b) << (8 * (i % 8))
		}
		for _, b := range []byte(planted("ints")) {
			c.Numbers = append(c.Numbers, int(b))
		}
		customers = append(customers, c)
		byName[c.Name] = c
	}
	customers[0].Next = customers[1]
	var id [8]byte
	copy(id[:], strings.Replace(planted("d!"), "ed-", "i", 1))
	byID[id] = planted("arraykey")
	concurrent.Store(planted("syncmapkey"), planted("syncmapvalue"))
	queue <- planted("queued")
	logged.WriteString(strings.Repeat(planted("slack"), 10))
	logged.Reset()
	logged.WriteString(planted("logged"))
	log.SetOutput(&logged)
	log.Print(planted("log"))
	header.Set("Authorization", "Bearer "+planted("bearer"))
	header.Set(http.CanonicalHeaderKey(planted("headername")), planted("headervalue"))
	captured := planted("captured")
	handler = func() string { return captured }
	interned = unique.Make(planted("unique"))
	builder.WriteString(planted("builder"))
	json.Unmarshal([]byte(`{"user": {"mail": "`+planted("json")+`"}}`), &parsed)
	for range [100]int{} {
		stale = append(stale, &customer{Name: planted("stale"), Notes: []byte(planted("stalebytes"))})
	}
	stale = nil
	runtime.GC()

	wait := make(chan int)
	go pprof.Do(context.Background(), pprof.Labels(planted("label"), planted("labelvalue")), func(context.Context) {
		park(planted("parked"), customers[0], wait)
	})
	go func() { blocked <- customer{Name: planted("sending")} }()
	go func() {
		lock.Lock()
		defer lock.Unlock()
		request := &http.Request{Method: "GET", RequestURI: "/" + planted("uri"), Header: header}
		park(request.RequestURI, customers[1], wait)
	}()
	go func() {
		for x := planted("running"); ; x = planted("running") {
			number += len(x)
		}
	}()
	go func() { lock.Lock() }()
	runtime.Gosched()
	fmt.Fprintln(os.Stderr, len(handler()), len(interned.Value()), builder.Len(), len(fromEnv), len(args), parsed != nil)
	fmt.Println("ready")
	select {}
}
