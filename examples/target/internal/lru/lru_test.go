package lru

import "testing"

func TestCache(t *testing.T) {
	c := New[string, int](2)
	c.Put("a", 1)
	c.Put("b", 2)
	c.Get("a")
	c.Put("c", 3) // forgets b
	c.Put("a", 4)
	for _, test := range []struct {
		key   string
		value int
		ok    bool
	}{{"a", 4, true}, {"b", 0, false}, {"c", 3, true}} {
		if value, ok := c.Get(test.key); value != test.value || ok != test.ok {
			t.Errorf("%s: %d, %v", test.key, value, ok)
		}
	}
	c.Remove("a")
	c.Remove("a")
	if length, hits, misses := c.Stats(); length != 1 || hits != 3 || misses != 1 {
		t.Errorf("stats: %d, %d, %d", length, hits, misses)
	}
}
