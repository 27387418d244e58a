package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"text/template"
	"time"
	"unique"
	"unsafe"
)

// route is a key of a map, of texts and numbers.
type route struct {
	host string
	id   [16]byte
	port int
}

// uuid keeps an id in two numbers, as parsers of ids do.
type uuid struct{ hi, lo uint64 }

// union holds a text's bytes in the place of a number, as tagged unions do.
type union struct {
	kind  int
	words [2]uint64
	bits  float64
	any   any
}

type node struct {
	left, right *node
	letters     [4]byte
}

// plainly are shapes that programs have without meaning to hide anything.
type plainly struct {
	tokens     map[string][]string
	header     http.Header
	block      cipher.Block
	mac        any
	routes     map[route]string
	byBytes    map[[16]byte]int
	ids        []uuid
	one        uuid
	byUUID     map[uuid]uuid
	boxedInt   any
	boxedID    any
	values     []any
	view       string
	viewed     []byte
	slack      *bytes.Buffer
	grown      strings.Builder
	pool       *sync.Pool
	file       *os.File
	tcp        net.Addr
	unixAddr   net.Addr
	address    *url.URL
	values2    url.Values
	template   *template.Template
	structs    chan route
	errs       chan error
	funcs      chan func() string
	deferred   []func()
	method     func() string
	once       func() string
	letters    [][]rune
	joined     error
	number     error
	pathErr    error
	union      union
	unions     []union
	floats     []float64
	complex    []complex128
	bools      []bool
	tree       *node
	embedded   struct{ inner struct{ text [24]byte } }
	pointers   []*byte
	runeKeys   map[rune]struct{}
	address2   uintptr
	interface2 fmt.Stringer
	cookie     *http.Cookie
	request    *http.Request
	ring       [256]byte
	when       time.Time
	zones      *time.Location
}

// keyed are shapes of what is no text: keys, ids and sums, of which every byte looks like any other.
type keyed struct {
	block    cipher.Block
	gcm      cipher.AEAD
	id       [16]byte
	ids      [][16]byte
	byID     map[[16]byte]string
	values   map[string][16]byte
	routes   map[route]bool
	boxed    any
	pair     [2]uint64
	boxpair  any
	words    []uint64
	narrow   []uint32
	numbers  map[int][2]uint64
	integer  *big.Int
	rat      *big.Rat
	queue    chan [16]byte
	pairs    chan [2]uint64
	pointer  *[16]byte
	captured func() byte
	pool     sync.Pool
	signing  ed25519.PrivateKey
	address  netip.Addr
	ip       net.IP
	floats   [2]float64
	generic  atomic.Pointer[[2]uint64]
	shared   sync.Map
	nested   struct{ deep [1]struct{ id [16]byte } }
	slack    []byte
	bytes    *bytes.Buffer
	halves   uuid
	halfsOf  map[uuid]uuid
	quads    []quad
	quad     quad
	numbered struct{ k0, k1 uint64 }
	named    digest
	list     *wordNode
	atomics  [2]atomic.Uint64
	atomic   []atomic.Uint64
	unique   unique.Handle[[2]uint64]
	tagged   []tagged
}

// quad, digest, wordNode and tagged keep a key in pieces, one beside the other.
type quad struct{ A, B, C, D uint32 }

type digest struct{ first, second int64 }

type wordNode struct {
	word uint64
	next *wordNode
}

type tagged struct {
	kind uint8
	u    struct{ W0, W1 uint64 }
}

// key makes sixteen bytes that are no text.
func key(name string) [16]byte {
	sum := sha256.Sum256([]byte("key of " + name))
	return [16]byte(sum[:16])
}

// pair gives a key as two numbers.
func pair64(name string) [2]uint64 {
	k := key(name)
	return [2]uint64{binary.LittleEndian.Uint64(k[:8]), binary.LittleEndian.Uint64(k[8:])}
}

func (k *keyed) fill() {
	b := key("aes")
	k.block, _ = aes.NewCipher(b[:])
	b = key("gcm")
	block, _ := aes.NewCipher(b[:])
	k.gcm, _ = cipher.NewGCM(block)
	k.id, k.ids = key("id"), [][16]byte{key("ids0"), key("ids1")}
	k.byID = map[[16]byte]string{key("mapkey"): "x"}
	k.values = map[string][16]byte{"x": key("mapvalue")}
	k.routes = map[route]bool{{id: key("structkey")}: true}
	k.boxed, k.pair, k.boxpair = key("boxed"), pair64("pair"), pair64("boxpair")
	p := pair64("words")
	k.words = p[:]
	for _, w := range pair64("narrow") {
		k.narrow = append(k.narrow, uint32(w), uint32(w>>32))
	}
	k.numbers = map[int][2]uint64{1: pair64("mapwords")}
	b = key("integer")
	k.integer = new(big.Int).SetBytes(b[:])
	b = key("rat")
	k.rat = new(big.Rat).SetInt(new(big.Int).SetBytes(b[:]))
	k.queue, k.pairs = make(chan [16]byte, 4), make(chan [2]uint64, 4)
	k.queue <- key("queued")
	k.queue <- key("taken")
	<-k.queue
	k.pairs <- pair64("queuedpair")
	pointed := key("pointer")
	k.pointer = &pointed
	captured := key("captured")
	k.captured = func() byte { return captured[3] }
	pooled := key("pooled")
	k.pool.Put(&pooled)
	b = key("signing")
	k.signing = ed25519.NewKeyFromSeed(append(b[:], b[:]...))
	k.address, b = netip.AddrFrom16(key("netip")), key("ip")
	k.ip = net.IP(b[:])
	for i, w := range pair64("floats") {
		k.floats[i] = math.Float64frombits(w)
	}
	stored := pair64("generic")
	k.generic.Store(&stored)
	k.shared.Store(key("sharedkey"), pair64("sharedvalue"))
	k.nested.deep[0].id = key("nested")
	b = key("slack")
	k.slack = append(make([]byte, 0, 128), b[:]...)[:0]
	b = key("buffer")
	k.bytes = bytes.NewBuffer(b[:])
	k.bytes.Next(8)
	h := pair64("halves")
	k.halves = uuid{h[0], h[1]}
	var q [2]uint64
	h, q = pair64("halveskey"), pair64("halvesvalue")
	k.halfsOf = map[uuid]uuid{{h[0], h[1]}: {q[0], q[1]}}
	b = key("quad")
	k.quad = *(*quad)(unsafe.Pointer(&b))
	b = key("quads")
	k.quads = []quad{*(*quad)(unsafe.Pointer(&b))}
	k.numbered.k0, k.numbered.k1 = pair64("numbered")[0], pair64("numbered")[1]
	b = key("named")
	k.named = *(*digest)(unsafe.Pointer(&b))
	k.atomic = make([]atomic.Uint64, 2)
	for i := range 2 {
		k.list = &wordNode{pair64("list")[i], k.list}
		k.atomics[i].Store(pair64("atomics")[i])
		k.atomic[i].Store(pair64("atomic")[i])
	}
	k.unique = unique.Make(pair64("unique"))
	h = pair64("tagged")
	k.tagged = []tagged{{kind: 1, u: struct{ W0, W1 uint64 }{h[0], h[1]}}}
}

// hold keeps keys on the stack, while it waits.
//
//go:noinline
func hold(id [16]byte, words [2]uint64, wait chan int) int {
	local, pair := key("local"), pair64("localpair")
	defer func(id [16]byte) { fmt.Fprint(io.Discard, id) }(key("deferred"))
	n := <-wait
	return n + int(id[n&7]) + int(local[n&7]) + int(words[n&1]) + int(pair[n&1])
}

var (
	plain = &plainly{}
	keys  = &keyed{}
)

func (r route) String() string { return r.host }

// words gives a text's bytes as numbers.
func words(text string) (w [4]uint64) {
	for i := range w {
		w[i] = binary.LittleEndian.Uint64([]byte(text + strings.Repeat(".", 32))[8*i:])
	}
	return w
}

func (p *plainly) fill() {
	jwt := "eyJhbGciOiJIUzI1NiJ9." + planted("jwt") + ".c2ln"
	p.header = http.Header{"X-Forwarded": {"a", jwt}}
	p.tokens = map[string][]string{planted("listkey"): {planted("listvalue")}}
	p.block, _ = aes.NewCipher([]byte(planted("aeskey"))[8:24])
	mac := hmac.New(sha256.New, []byte(planted("hmac")))
	mac.Write([]byte(planted("macked")))
	p.mac = mac
	id := [16]byte([]byte(planted("structid") + "........")[8:24])
	p.routes = map[route]string{{planted("structkey"), id, 80}: planted("structvalue")}
	p.byBytes = map[[16]byte]int{[16]byte([]byte(planted("bytekey") + "........")[8:24]): 1}
	w := words(planted("uuids")[8:])
	p.ids = []uuid{{w[0], w[1]}}
	w = words(planted("uuid")[8:])
	p.one = uuid{w[0], w[1]}
	w = words(planted("uuidkey")[8:])
	p.byUUID = map[uuid]uuid{{w[0], w[1]}: {w[1], w[0]}}
	p.boxedInt = words(planted("boxedint")[8:])[0]
	p.boxedID = uuid{words(planted("boxedid")[8:])[0], 1}
	for _, r := range planted("boxedrunes") {
		p.values = append(p.values, r)
	}
	p.viewed = []byte(planted("view"))
	p.view = unsafe.String(&p.viewed[0], len(p.viewed))
	p.slack = bytes.NewBuffer(make([]byte, 0, 512))
	p.slack.WriteString(planted("bufslk"))
	p.slack.Reset()
	p.slack.WriteString("ok")
	p.grown.Grow(256)
	p.grown.WriteString(planted("grown"))
	p.pool = &sync.Pool{New: func() any { return new(route) }}
	p.pool.Put(&route{host: planted("pooledstruct")})
	b := []byte(planted("pooledbytes"))
	p.pool.Put(&b)
	p.file, _ = os.Create(filepath.Join(os.TempDir(), planted("filename")))
	if p.file != nil {
		os.Remove(p.file.Name())
	}
	p.tcp = &net.TCPAddr{IP: net.IP(planted("peerip")[8:24]), Port: 443, Zone: planted("peerzone")}
	p.unixAddr = &net.UnixAddr{Name: planted("socket"), Net: "unix"}
	p.address, _ = url.Parse("http://" + planted("host") + "/?" + planted("rawquery") + "#" + planted("fragment"))
	p.values2 = url.Values{planted("formkey"): {planted("formvalue")}}
	p.template = template.Must(template.New(planted("tmplname")).Parse("hello " + planted("tmpl") + " {{.Name}}"))
	p.structs, p.errs, p.funcs = make(chan route, 4), make(chan error, 4), make(chan func() string, 4)
	p.structs <- route{host: planted("queuedstruct")}
	p.structs <- route{host: planted("taken")}
	<-p.structs
	p.errs <- errors.New(planted("queuederr"))
	queued := planted("queuedfunc")
	p.funcs <- func() string { return queued }
	byValue := words(planted("captwords")[8:])
	p.deferred = append(p.deferred, func() { fmt.Println(byValue) })
	p.method = route{host: planted("methodvalue")}.String
	p.once = sync.OnceValue(func() string { return planted("oncevalue") })
	p.once()
	p.letters = [][]rune{[]rune(planted("runelists"))}
	p.joined = errors.Join(errors.New(planted("joined")), fmt.Errorf("%s: %w", planted("outer"), os.ErrNotExist))
	_, p.number = strconv.Atoi(planted("notanumber"))
	_, p.pathErr = os.Open("/nonexistent/" + planted("patherr"))
	w = words(planted("union")[8:])
	p.union = union{kind: 1, words: [2]uint64{w[0], w[1]}, any: [2]uint64{w[1], w[0]}}
	p.unions = []union{p.union}
	for _, w := range words(planted("floats")[8:]) {
		p.floats = append(p.floats, *(*float64)(unsafe.Pointer(&w)))
		p.complex = append(p.complex, complex(p.floats[0], 0))
	}
	for _, r := range planted("tree") {
		p.tree = &node{left: p.tree, letters: [4]byte{byte(r), byte(r), byte(r), byte(r)}}
	}
	copy(p.embedded.inner.text[:], planted("embedded")[8:])
	pointed := []byte(planted("ptrs"))
	for i := range pointed {
		p.pointers = append(p.pointers, &pointed[i])
	}
	p.runeKeys = map[rune]struct{}{}
	for _, r := range planted("runekeys") {
		p.runeKeys[r] = struct{}{}
	}
	p.interface2 = route{host: planted("iface")}
	p.cookie = &http.Cookie{Name: planted("cookiename"), Value: planted("cookievalue"), Path: planted("cookiepath")}
	p.request, _ = http.NewRequest("POST", "http://"+planted("reqhost")+"/", strings.NewReader(planted("reqbody")))
	p.request.SetBasicAuth(planted("basicuser"), planted("basicpass"))
	copy(p.ring[100:], planted("ring"))

	kept := &route{host: planted("finobj")}
	secret := planted("finfn")
	runtime.SetFinalizer(kept, func(*route) { fmt.Println(secret) })
	other := &route{host: planted("cleaned")}
	runtime.AddCleanup(other, func(s string) { fmt.Println(s) }, planted("cleanup"))
	p.deferred = append(p.deferred, func() { runtime.KeepAlive(kept); runtime.KeepAlive(other) })
}

// spill keeps what it was given in slots of its stack, while it waits.
//
//go:noinline
func spill(a, b, c string, w [4]uint64, wait chan int) (n int) {
	defer func(s string, w [4]uint64) { n += len(s) + int(w[0]) }(planted("deferred"), words(planted("deferwords")[8:]))
	for i := range len(a) % 3 {
		defer fmt.Fprintln(os.Stderr, planted("looped"), i)
	}
	x, y := strings.ToUpper(a), []byte(b)
	low, high := w[0], w[1] // spilled, in words
	letters := [8]rune([]rune(planted("stackrunes"))[8:16])
	n = <-wait
	return n + len(x) + len(y) + len(c) + int(low) + int(high) + int(letters[n&7])
}

// panicking waits in a deferred call, while a panic is under way.
func panicking(wait chan int) {
	defer func() {
		<-wait
		recover()
	}()
	panic(fmt.Errorf("it failed: %w", route{host: planted("inpanic")}))
}

func (r route) Error() string { return r.host }
