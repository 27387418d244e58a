// Command types has variables of types that the tests of redaction look at.
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"math/big"
	"net/netip"
	"sync"
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

var (
	anOrder   order
	anAccount account
	someKeys  keys
	apiToken  int
	counter   int
	words     [8]uint32
)

func main() {
	someKeys.block, _ = aes.NewCipher(make([]byte, 16))
	fmt.Println(anOrder, anAccount, &someKeys, apiToken, counter, words)
}
