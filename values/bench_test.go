package values_test

import (
	"testing"

	"ri/values"
	"ri/values/eval"
	"ri/values/testlook"
)

func BenchmarkGoroutines(b *testing.B) {
	testlook.Benchmark(b, "testdata/parked", func(s *values.Space) error {
		for _, err := range s.Goroutines() {
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func BenchmarkStacks(b *testing.B) {
	testlook.Benchmark(b, "testdata/parked", func(s *values.Space) error {
		_, err := s.Stacks(values.StackOptions{}, &values.StackMemo{})
		return err
	})
}

func BenchmarkMark(b *testing.B) {
	testlook.Benchmark(b, "testdata/parked", func(s *values.Space) error {
		_, err := s.Mark(nil)
		return err
	})
}

func BenchmarkDump(b *testing.B) {
	testlook.Benchmark(b, fixture, func(s *values.Space) error {
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
	testlook.Benchmark(b, fixture, func(s *values.Space) error {
		_, err := eval.Expression(s, "main.nested")
		return err
	})
}
