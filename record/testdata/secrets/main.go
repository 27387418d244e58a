// Command secrets has secrets in many shapes, each with a text of its own: "planted-NAME-" and digits of its own.
package main

import (
	"bufio"
	"bytes"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf16"
	"unique"
	"unsafe"
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
	Serial   int // a single number, which is kept
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
	more       = &others{}
)

// cell is a text's letter, as terminals and editors keep it.
type cell struct{ letter rune }

type overlay struct{ A, B, C uint64 }

type others struct {
	cells    []cell
	grid     [32]cell
	bytes    chan byte
	runes    chan rune
	letters  map[int]rune
	peer     netip.Addr
	bound    netip.AddrPort
	swapped  [4]uint64
	rest     []byte // behind what was cut off
	under    *overlay
	over     []byte
	emptied  map[string]string
	long     string
	zone     *time.Location
	context  context.Context
	pool     sync.Pool
	writer   *bufio.Writer
	pattern  *regexp.Regexp
	replacer *strings.Replacer
	url      *url.URL
	raw      json.RawMessage
	atomic   atomic.Pointer[string]
	value    atomic.Value
	list     *list.List
	integer  *big.Int
	hash     hash.Hash
	attrs    []slog.Attr
	data     *byte
	wide     []uint16
	late     func() rune
	password string
	timer    *time.Timer
	array    any
	nested   [2][3]rune
	matrix   [][4]uint16
	slice    *[1 << 16]pair // taken to be cut, as selectgo does
}

type pair struct{ a, b uintptr }

//go:noinline
func (o *others) deep(secret string) int {
	var local [64]byte
	copy(local[:], secret)
	runtime.Gosched()
	return int(local[3])
}

func (o *others) fill() {
	for _, r := range planted("cells") {
		o.cells = append(o.cells, cell{r})
	}
	for i, r := range planted("grid") {
		o.grid[i].letter = r
	}
	o.bytes, o.runes, o.letters = make(chan byte, 64), make(chan rune, 64), map[int]rune{}
	for i, r := range planted("chanbytes") {
		o.bytes <- byte(r)
		o.letters[i] = r
	}
	for _, r := range planted("chanrunes") {
		o.runes <- r
	}
	o.peer = netip.AddrFrom16([16]byte([]byte(planted("netip"))[4:20]))
	o.bound = netip.AddrPortFrom(netip.AddrFrom16([16]byte([]byte(planted("addrport"))[4:20])), 4222)
	for i := range o.swapped {
		o.swapped[i] = binary.BigEndian.Uint64([]byte(planted("swapped") + "........")[8*i:])
	}
	o.rest = []byte(planted("cutoff") + planted("rest"))[len(planted("cutoff")):]
	o.over = []byte(planted("overlay"))
	o.under = (*overlay)(unsafe.Pointer(&o.over[0]))
	o.slice = (*[1 << 16]pair)(unsafe.Pointer(&o.over[0]))
	o.emptied = map[string]string{}
	for i := range 20 {
		o.emptied[planted("gone")+fmt.Sprint(i)] = planted("deleted")
	}
	for i := range 19 {
		delete(o.emptied, planted("gone")+fmt.Sprint(i))
	}
	o.long = strings.Repeat("-", 17<<20) + planted("long")
	o.zone = time.FixedZone(planted("zone"), 3600)
	o.context = context.WithValue(context.Background(), text(planted("contextkey")), planted("contextvalue"))
	buffer := bytes.NewBufferString(planted("pooled"))
	o.pool.Put(buffer)
	o.writer = bufio.NewWriter(io.Discard)
	o.writer.WriteString(planted("buffered"))
	o.pattern = regexp.MustCompile(planted("pattern") + "|[a-z]+" + planted("alternative"))
	o.replacer = strings.NewReplacer(planted("old"), planted("new"))
	o.replacer.Replace("x")
	o.url, _ = url.Parse("https://" + planted("user") + ":" + planted("pw") + "@example.com/" + planted("path") + "?q=" + planted("query"))
	o.raw = json.RawMessage(planted("raw"))
	s := planted("pointer")
	o.atomic.Store(&s)
	o.value.Store(planted("atomicvalue"))
	o.list = list.New()
	o.list.PushBack(planted("listed"))
	o.integer = new(big.Int).SetBytes([]byte(planted("integer")))
	o.hash = sha256.New()
	io.WriteString(o.hash, planted("hashed"))
	o.attrs = []slog.Attr{slog.String(planted("attrkey"), planted("attrvalue"))}
	o.data = unsafe.StringData(planted("data"))
	o.wide = utf16.Encode([]rune(planted("wide")))
	late := []rune(planted("laterunes"))
	o.late = func() rune { return late[0] }
	o.password = "planted-constant-4000000000"
	o.timer = time.AfterFunc(time.Hour, func() { fmt.Println(s, planted("timer")) })
	o.array = [32]byte([]byte(planted("boxed") + "................")[:32])
	copy(o.nested[0][:], []rune(planted("nested"))[8:11])
	copy(o.nested[1][:], []rune(planted("nested"))[11:14])
	for i := range 4 {
		var m [4]uint16
		copy(m[:], utf16.Encode([]rune(planted("matrix")))[4*i:])
		o.matrix = append(o.matrix, m)
	}
	o.deep(planted("stackrest"))
}

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
		c := &customer{Name: planted(fmt.Sprint("name", i)), Serial: 777 + i, pin: 90210 + i, Password: planted(fmt.Sprint("password", i))}
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

	more.fill()
	plain.fill()
	keys.fill()
	wait := make(chan int)
	go spill(planted("spilled0"), planted("spilled1"), planted("spilled2"), words(planted("spillwords")[8:]), wait)
	go panicking(wait)
	go hold(key("held"), pair64("heldpair"), wait)
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
