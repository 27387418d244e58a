package main

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Everything that a store starts with follows from the seed: the names, sizes
// and contents of its objects, and which blocks of its devices are bad.

// mix spreads a seed and a number over 64 bits (splitmix64).
func mix(seed, n uint64) uint64 {
	z := seed*0x9e3779b97f4a7c15 + n + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

var (
	seedBuckets = [...]string{"backup", "images", "logs", "mail", "video"}
	seedOwners  = [...]string{"alice", "bob", "carol", "dave", "erin", "frank"}
	seedColors  = [...]string{"blue", "green", "red", "white"}
	seedEpoch   = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
)

// seedName is the name of object number i.
func seedName(seed uint64, i int) string {
	h := mix(seed, uint64(i)*4)
	return fmt.Sprintf("%s/%02x/object-%07d", seedBuckets[h%uint64(len(seedBuckets))], h>>8&0xff, i)
}

// seedSize is the size of object number i: most have one parity group, some
// up to five, and a few are empty.
func seedSize(seed uint64, i, units, blockSize int) int {
	h := mix(seed, uint64(i)*4+1)
	group := uint64(units * blockSize)
	switch {
	case h%64 == 0:
		return 0
	case h%4 == 1:
		return int(1 + (h>>8)%(5*group))
	default:
		return int(1 + (h>>8)%group)
	}
}

// fill fills b with bytes that follow from n.
func fill(b []byte, n uint64) {
	var word [8]byte
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(word[:], mix(n, uint64(i)))
		copy(b[i:], word[:])
	}
}

// seedStore puts the first objects into an empty store.
func seedStore(s *Store, seed uint64, objects int) error {
	buffer := make([]byte, 5*s.units*s.blockSize)
	for i := 0; i < objects; i++ {
		h := mix(seed, uint64(i)*4+2)
		data := buffer[:seedSize(seed, i, s.units, s.blockSize)]
		fill(data, h)
		values := Values{
			owner: seedOwners[h%uint64(len(seedOwners))],
			mtime: seedEpoch.Add(time.Duration(h>>16%(1000*24*3600)) * time.Second),
		}
		if h>>8%4 == 0 {
			values.attrs = map[string]string{"color": seedColors[h>>10%uint64(len(seedColors))]}
			if h>>12%4 == 0 {
				values.attrs["retention"] = fmt.Sprintf("%dd", 1+h>>20%365)
			}
		}
		name := seedName(seed, i)
		if _, err := s.put(name, data, values); err != nil {
			return fmt.Errorf("object %q: %v", name, err)
		}
	}
	s.settle()
	return nil
}

// seedBadBlocks chooses the bad blocks of a device, about one in fifty.
func seedBadBlocks(seed uint64, device int, capacity int64) []int64 {
	var bad []int64
	at := int64(0)
	for i := uint64(0); ; i++ {
		at += 1 + int64(mix(seed^0xbadb10c, uint64(device)<<32+i)%99)
		if at >= capacity {
			return bad
		}
		bad = append(bad, at)
	}
}
