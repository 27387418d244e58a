package rows

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"

	"ri/inert"
)

// CellText is a value as people read it: on one line, with nothing in it that a terminal would obey.
func CellText(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float64:
		return FloatText(v)
	case string:
		return inert.Cell(v)
	case Bytes:
		return inert.Cell(string(v))
	case time.Time:
		if v.IsZero() {
			return "-"
		}
		return v.Format("2006-01-02T15:04:05.000Z07:00")
	case time.Duration:
		return DurationText(v)
	case Address:
		return inert.Cell(v.Text)
	case GoText:
		return inert.Cell(v.Text)
	case Missing:
		return inert.Cell(v.String())
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = CellText(e)
		}
		return strings.Join(parts, ", ")
	case Row:
		parts := make([]string, len(v))
		for i, c := range v {
			parts[i] = inert.Cell(c.Name) + "=" + CellText(c.Value)
		}
		return strings.Join(parts, " ")
	}
	return inert.Cell(fmt.Sprint(v))
}

// FloatText keeps six digits, and four behind the point.
func FloatText(f float64) string {
	digits := 6
	if abs := math.Abs(f); abs >= 1 && abs < 1e15 {
		digits = max(digits, int(math.Log10(abs))+5)
	}
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		digits = -1
	}
	return Decimal(f, digits)
}

// DurationText keeps the digits that matter: 1h2m, 3m20s, 1.25s, 14.3ms.
func DurationText(d time.Duration) string {
	abs := d.Abs()
	switch {
	case abs >= 100*time.Hour:
		d = d.Round(time.Hour)
	case abs >= time.Hour:
		d = d.Round(time.Minute)
	case abs >= time.Minute:
		d = d.Round(time.Second)
	case abs >= time.Second:
		d = d.Round(10 * time.Millisecond)
	case abs >= time.Millisecond:
		d = d.Round(10 * time.Microsecond)
	}
	s := d.String()
	if abs >= time.Minute {
		if cut, ok := strings.CutSuffix(s, "m0s"); ok {
			s = cut + "m"
		}
		if cut, ok := strings.CutSuffix(s, "h0m"); ok {
			s = cut + "h"
		}
	}
	return s
}

// isNumber says whether a value is aligned to the right.
func isNumber(v any) bool {
	switch v.(type) {
	case int64, uint64, float64, time.Duration:
		return true
	}
	return false
}

// Decimal writes a number with so many significant digits (-1: as many as it has), without an exponent unless it is
// very large or very small.
func Decimal(f float64, digits int) string {
	abs := math.Abs(f)
	if !(abs >= 1e-4 && abs < 1e15) {
		switch {
		case math.IsNaN(f):
			return "NaN"
		case math.IsInf(f, 0):
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
		return strconv.FormatFloat(f, 'g', digits, 64)
	}
	if digits < 0 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	if abs >= 1e12 { // the integer's digits are never rounded
		digits = max(digits, 16)
	}
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'e', digits-1, 64), 64)
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

func AddressCell(addr uint64) any {
	if addr == 0 {
		return nil
	}
	return fmt.Sprintf("%#x", addr)
}

// UnwrapPath takes the path off an error whose message names it already.
func UnwrapPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// RoundUp rounds a time up to two digits.
func RoundUp(d time.Duration) time.Duration {
	unit := time.Millisecond
	for d/unit >= 100 {
		unit *= 10
	}
	return (d + unit - 1) / unit * unit
}

// Texts makes a cell of strings: nil where there are none, which prints as a dash.
func Texts(list []string) any {
	if len(list) == 0 {
		return nil
	}
	cell := make([]any, len(list))
	for i, s := range list {
		cell[i] = s
	}
	return cell
}

// SortKey is a number by which a cell sorts, if it has one.
func SortKey(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, v == v && v-v == 0 // neither NaN nor infinite, which JSON doesn't have
	case time.Duration:
		return float64(v), true
	}
	return 0, false
}
