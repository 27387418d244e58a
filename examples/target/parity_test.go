package main

import (
	"bytes"
	"fmt"
	"testing"
)

func TestParity(t *testing.T) {
	for _, units := range []int{1, 2, 3, 8} {
		for _, blockSize := range []int{8, 64} {
			for _, size := range []int{0, 1, 7, 8, 9, 63, 64, 65, 128, 500, 1024} {
				t.Run(fmt.Sprintf("%d of %d, size %d", units, blockSize, size), func(t *testing.T) {
					data := make([]byte, size)
					fill(data, uint64(size))
					contents := stripe(data, units, blockSize)
					if len(contents) != units+1 {
						t.Fatalf("%d units", len(contents))
					}
					groups := groupsFor(int64(size), units, blockSize)
					for g := int64(0); g < groups; g++ {
						if !consistent(contents, g, blockSize) {
							t.Errorf("group %d is not consistent", g)
						}
						for u := range contents {
							want := contents[u][g*int64(blockSize) : (g+1)*int64(blockSize)]
							if got := reconstruct(contents, u, g, blockSize); !bytes.Equal(got, want) {
								t.Errorf("unit %d of group %d: %x, want %x", u, g, got, want)
							}
						}
						contents[0][g*int64(blockSize)] ^= 1
						if consistent(contents, g, blockSize) {
							t.Errorf("group %d: damage is not seen", g)
						}
						contents[0][g*int64(blockSize)] ^= 1
					}
					if got := unstripe(contents, int64(size), units, blockSize); !bytes.Equal(got, data) {
						t.Error("not what was striped")
					}
				})
			}
		}
	}
}
