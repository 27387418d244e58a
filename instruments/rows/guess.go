package rows

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// DidYouMean is "; did you mean a or b?" for names near the one that a person typed, or "".
func DidYouMean(typed string, names []string) string {
	type near struct {
		name     string
		distance int
	}
	var list []near
	for _, name := range names {
		d := editDistance(strings.ToLower(typed), strings.ToLower(name))
		if d > max(1, len(typed)/3) || d >= len(typed) {
			if len(typed) < 3 || len(name) < 3 || !strings.Contains(name, typed) && !strings.Contains(typed, name) {
				continue
			}
			d = len(name)
		}
		list = append(list, near{name, d})
	}
	if len(list) == 0 {
		return ""
	}
	slices.SortFunc(list, func(a, b near) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	var best []string
	for _, n := range list[:min(3, len(list))] {
		if n.distance <= list[0].distance+1 && !slices.Contains(best, n.name) {
			best = append(best, n.name)
		}
	}
	return "; did you mean " + strings.Join(best, " or ") + "?"
}

// editDistance counts the insertions, deletions, substitutions and swaps of neighbours that make a out of b.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}

// QuoteName shows what a person typed: as it is if it is a plain word, else quoted.
func QuoteName(s string) string {
	plain := s != ""
	for _, r := range s {
		if !unicode.IsPrint(r) || unicode.IsSpace(r) || r == '"' || r == unicode.ReplacementChar {
			plain = false
		}
	}
	if plain {
		return s
	}
	return strconv.Quote(s)
}

func SortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
