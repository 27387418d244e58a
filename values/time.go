package values

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Time reads a time.Time (fields wall, ext and loc as package time documents them, Go 1.9 and later). Local
// times are given in ri's own local zone, all others in UTC.
func (v Value) Time() (time.Time, error) {
	if !v.IsValid() || v.Type.Name != "time.Time" || v.Type.Size != 24 {
		return time.Time{}, v.Lacks("time")
	}
	b, err := v.bytes(24)
	if err != nil {
		return time.Time{}, err
	}
	wall, ext, loc := binary.LittleEndian.Uint64(b), int64(binary.LittleEndian.Uint64(b[8:])), binary.LittleEndian.Uint64(b[16:])
	const (
		hasMonotonic   = 1 << 63
		nsecMask       = 1<<30 - 1
		wallToInternal = (1884*365 + 1884/4 - 1884/100 + 1884/400) * 86400
		unixToInternal = (1969*365 + 1969/4 - 1969/100 + 1969/400) * 86400
	)
	seconds, nanos := ext, int64(wall&nsecMask)
	if wall&hasMonotonic != 0 {
		seconds = wallToInternal + int64(wall<<1>>31)
	}
	if nanos >= 1e9 {
		return time.Time{}, fmt.Errorf("%s: %d nanoseconds: %w", v, nanos, ErrCorrupt)
	}
	t := time.Unix(seconds-unixToInternal, nanos).UTC()
	if local, err := v.s.file.Var("time.localLoc"); err == nil && loc == local.Addr+v.s.bias {
		t = t.Local()
	}
	return t, nil
}
