package symbols

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// nearest are three near names, or up to eight that end as the given one does: which of their packages is meant, only a
// reader knows.
func nearest(name string, all []string) []string {
	end := "." + name[strings.LastIndexByte(name, '.')+1:]
	var same []string
	for _, s := range all {
		if strings.HasSuffix(s, end) && !strings.ContainsAny(s, "*[(") {
			same = append(same, s)
		}
	}
	if len(same) > 3 {
		slices.SortStableFunc(same, func(a, b string) int { return cmp.Compare(len(a), len(b)) })
		return same[:min(len(same), 8)]
	}
	return Near(name, all, 3)
}

// Near picks up to n names that someone who typed name may have meant, nearest first. Those differ in case or in a few
// letters, or contain the name.
func Near(name string, all []string, n int) []string {
	last := func(s string) string { return s[strings.LastIndexByte(s, '.')+1:] }
	want, wantLast := strings.ToLower(name), strings.ToLower(last(name))
	if wantLast == "" || len(name) > 256 {
		return nil
	}
	type scored struct {
		name  string
		score int
	}
	var found []scored
	limit := 1 + utf8.RuneCountInString(wantLast)/4
	var row []int
	for _, s := range all {
		sLast := strings.ToLower(last(s))
		score := -1
		if diff := len(sLast) - len(wantLast); diff <= limit && -diff <= limit {
			if d := distance(wantLast, sLast, limit, &row); d <= limit {
				score = d * 4
				if !strings.Contains(strings.ToLower(s), strings.TrimSuffix(want, wantLast)) {
					score += 2 // the package differs too
				}
			}
		}
		if score < 0 && len(wantLast) >= 3 && strings.Contains(sLast, wantLast) {
			score = 20 + len(sLast) - len(wantLast)
		}
		if score >= 0 {
			found = append(found, scored{s, score})
		}
	}
	slices.SortStableFunc(found, func(a, b scored) int {
		return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(len(a.name), len(b.name)), cmp.Compare(a.name, b.name))
	})
	var out []string
	for _, s := range found[:min(n, len(found))] {
		out = append(out, s.name)
	}
	return out
}

// distance is the number of single-letter edits (a swap of neighbours counts as one) between a and b, or more than
// limit.
func distance(a, b string, limit int, buffer *[]int) int {
	if a == b {
		return 0
	}
	width := len(b) + 1
	if cap(*buffer) < 3*width {
		*buffer = make([]int, 3*width)
	}
	rows := (*buffer)[:3*width]
	before, prev, cur := rows[:width], rows[width:2*width], rows[2*width:]
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		best := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			v := min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				v = min(v, before[j-2]+1)
			}
			cur[j] = v
			best = min(best, v)
		}
		if best > limit {
			return limit + 1
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}
