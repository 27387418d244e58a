package values_test

import (
	"context"
	"testing"

	"ri/attach"
	"ri/symbols/testprogram"
	"ri/values"
)

// benchmark runs f on one look at a fixture: its pages are read once, so what is measured is the walk.
func benchmark(b *testing.B, dir string, f func(s *values.Space) error) {
	l := lookAt(b, testprogram.Start(b, testprogram.Build(b, dir, testprogram.Variants[0])), attach.Stopped)
	for b.Loop() {
		if err := f(l.Space); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGoroutines(b *testing.B) {
	benchmark(b, "testdata/parked", func(s *values.Space) error {
		for _, err := range s.Goroutines() {
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func BenchmarkStacks(b *testing.B) {
	benchmark(b, "testdata/parked", func(s *values.Space) error {
		_, err := s.Stacks(values.StackOptions{}, &values.StackMemo{})
		return err
	})
}

func BenchmarkWaits(b *testing.B) {
	benchmark(b, "testdata/parked", func(s *values.Space) error {
		_, err := s.Waits(nil)
		return err
	})
}

func BenchmarkMark(b *testing.B) {
	benchmark(b, "testdata/parked", func(s *values.Space) error {
		_, err := s.Mark(nil)
		return err
	})
}

func BenchmarkHeap(b *testing.B) {
	benchmark(b, heapFixture, func(s *values.Space) error {
		_, err := values.BuildHeap(context.Background(), s, nil)
		return err
	})
}

func BenchmarkDump(b *testing.B) {
	benchmark(b, fixture, func(s *values.Space) error {
		for _, name := range []string{"main.grownMap", "main.linkedList", "main.nested", "main.syncMap"} {
			v, err := s.Var(name)
			if err != nil {
				return err
			}
			v.Dump(values.DumpOptions{Size: 1 << 16})
		}
		return nil
	})
}

func BenchmarkEval(b *testing.B) {
	benchmark(b, fixture, func(s *values.Space) error {
		_, err := s.Eval("main.nested")
		return err
	})
}
