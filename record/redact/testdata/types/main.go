// Command types has variables of types that the tests of redaction look at.
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"math/big"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

type state int

type order struct {
	ID       uint64
	Customer string
	Note     []byte
	Digest   [20]byte
	Amounts  []int64
	Limits   [4]float64
	Lines    [3]line
	Paid     bool
	Weight   float64
	State    state
	At       time.Time
	Next     *order
	Tags     map[string]string
	Any      any
	mu       sync.Mutex
}

type line struct {
	SKU   string
	Count int32
	Flag  bool
}

type account struct {
	Name         string
	userPassword string
	PIN          int
	hasToken     bool
	Session      struct {
		ID   string
		Hits int
		Peer *account
	}
	limits limits
}

type limits struct {
	max  int
	used int
}

type keys struct {
	block cipher.Block
	n     *big.Int
	words big.Int
	runes []rune
	one   [1]int

	cells  []cell
	grid   [8]cell
	peer   netip.Addr
	matrix [][4]uint16
}

type cell struct{ letter rune }

type pin int

type uuid struct{ hi, lo uint64 }

type quad struct{ A, B, C, D uint32 }

type nodeID struct{ first, rest int64 }

type edge struct {
	c    byte
	next *edge
}

type pieces struct {
	trace   uuid
	ids     []uuid
	quad    quad
	node    nodeID
	k0, k1  uint64
	x, y    int
	p95     int64
	p99     int64
	low     int
	high    int
	ref     pin
	hash    uint64
	shards  [2]atomic.Uint64
	hits    atomic.Int64
	at      time.Time
	edge    edge
	numbers list[uint64]
	letters map[int]rune
	sizes   map[string]uint8
	counted counted
}

type list[T any] struct {
	v    T
	next *list[T]
}

type counted struct {
	n    int
	name string
	next *counted
}

var (
	somePieces pieces
	anOrder    order
	anAccount  account
	someKeys   keys
	apiToken   int
	counter    int
	words      [8]uint32
)

func main() {
	someKeys.block, _ = aes.NewCipher(make([]byte, 16))
	fmt.Println(&somePieces, anOrder, anAccount, &someKeys, apiToken, counter, words)
}
