package main

import (
	"fmt"
	"strconv"
	"strings"
)

// Fid identifies an object or a component object. Fids are never reused.
//
// A fid is written <container:key>, both in lower-case hexadecimal without
// leading zeros, for example <7000000000000001:2a>.
type Fid struct {
	Container uint64
	Key       uint64
}

const (
	// objectContainer is the container of every object.
	objectContainer uint64 = 0x7000000000000001
	// cobContainer, with the unit's number added, is the container of a
	// component object; its key is the key of the object it belongs to.
	cobContainer uint64 = 0x4300000000000000
)

// cobFid names the component object that holds one unit of an object.
func cobFid(object Fid, unit int) Fid {
	return Fid{Container: cobContainer + uint64(unit), Key: object.Key}
}

func (f Fid) String() string {
	return "<" + strconv.FormatUint(f.Container, 16) + ":" + strconv.FormatUint(f.Key, 16) + ">"
}

// MarshalText makes a fid print as <container:key> in JSON too.
func (f Fid) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (f *Fid) UnmarshalText(text []byte) error {
	parsed, err := parseFid(string(text))
	if err != nil {
		return err
	}
	*f = parsed
	return nil
}

// parseFid reads a fid; the angle brackets may be left out, which is
// convenient in URLs.
func parseFid(s string) (Fid, error) {
	bare := s
	if strings.HasPrefix(bare, "<") != strings.HasSuffix(bare, ">") {
		return Fid{}, fmt.Errorf("fid %q: want <container:key>", s)
	}
	bare = strings.TrimSuffix(strings.TrimPrefix(bare, "<"), ">")
	container, key, found := strings.Cut(bare, ":")
	if !found {
		return Fid{}, fmt.Errorf("fid %q: want <container:key>", s)
	}
	c, err := strconv.ParseUint(container, 16, 64)
	if err != nil {
		return Fid{}, fmt.Errorf("fid %q: container: %v", s, err)
	}
	k, err := strconv.ParseUint(key, 16, 64)
	if err != nil {
		return Fid{}, fmt.Errorf("fid %q: key: %v", s, err)
	}
	return Fid{Container: c, Key: k}, nil
}
