package commands

import (
	"errors"
	"math"
	"strings"
	"testing"

	"ri/instruments/rows"
)

func TestCheckAddressSpace(t *testing.T) {
	for limit, ok := range map[uint64]bool{math.MaxUint64: true, leastSpace: true, leastSpace - 1: false,
		900 << 20: false} {
		switch err := checkAddressSpace(limit); {
		case ok && err != nil:
			t.Errorf("%d: %v", limit, err)
		case !ok && (!errors.Is(err, rows.ErrRefused) || !strings.Contains(err.Error(), "RLIMIT_AS")):
			t.Errorf("%d: %v", limit, err)
		}
	}
}
