package waits_test

import (
	"testing"

	"ri/values"
	"ri/values/testlook"
	"ri/values/waits"
)

func BenchmarkWaits(b *testing.B) {
	testlook.Benchmark(b, "../testdata/parked", func(s *values.Space) error {
		_, err := waits.New(s).Waits(nil)
		return err
	})
}
