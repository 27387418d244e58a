package redact

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"ri/secrets"
	"ri/symbols"
)

// A single number is kept, and some are none: an id of 16 bytes is kept in two, a text in a list of letters, one in
// each node, and what a hash function made of a short text gives it away. Types and names of fields tell most of
// them.

// piecesIn tells of each field of a struct whether it is a number that is a part of something that would not be kept in
// one piece.
func piecesIn(in place, t *symbols.Type) []bool {
	fields := t.Fields()
	out := make([]bool, len(fields))
	if ofRuntime(in, t) {
		return out
	}
	whole := numbersOnly(fields) && isIdentity(t.Name)
	only := nodeOf(t)
	for i := 0; i < len(fields); i++ {
		f := fields[i]
		out[i] = isNumber(f.Type) && (whole || i == only || isLetter(f))
		end := i + 1
		for end < len(fields) && follows(fields[end-1], fields[end]) {
			end++
		}
		if end > i+1 && f.Type.Size*int64(end-i) >= leastPieces {
			for k := i; k < end; k++ {
				out[k] = true
			}
			i = end - 1
		}
	}
	return out
}

// leastPieces is how many bytes fields have together that are taken for one thing in pieces.
const leastPieces = 8

func isNumber(t *symbols.Type) bool {
	return t != nil && t.Kind >= reflect.Int && t.Kind <= reflect.Complex128
}

func isInteger(t *symbols.Type) bool {
	return t != nil && t.Kind >= reflect.Int && t.Kind <= reflect.Uint64
}

// numbersOnly tells a struct of several integers, or arrays of such, and nothing else.
func numbersOnly(fields []symbols.Field) bool {
	return len(fields) > 1 && !slices.ContainsFunc(fields, func(f symbols.Field) bool {
		return !isInteger(f.Type) && (f.Type == nil || f.Type.Kind != reflect.Array || !f.Type.Numbers())
	})
}

// identities are words in names of types whose numbers are an id, or a sum, in pieces.
var identities = []string{"uuid", "guid", "ulid", "ksuid", "xid", "uint", "int", "u", "id",
	"digest", "hash", "checksum",
	"fingerprint"}

func isIdentity(name string) bool {
	name = ownName(name)
	return secrets.Name(name) || slices.ContainsFunc(secrets.Words(name), func(w string) bool {
		return slices.Contains(identities, w)
	})
}

// ownName is a type's name without its package and arguments.
func ownName(name string) string {
	if i := strings.IndexByte(name, '['); i > 0 {
		name = name[:i]
	}
	return name[strings.LastIndexByte(name, '.')+1:]
}

// halves are what the two parts of a number of 128 bits are called.
var halves = [][]string{{"hi", "lo"}, {"high", "low"}, {"msb", "lsb"}, {"most", "least"}, {"upper", "lower"}}

// follows tells whether two fields side by side are pieces of one thing, by their names: id0 and id1, a and b, hi and
// lo.
func follows(a, b symbols.Field) bool {
	if !isInteger(a.Type) || !isInteger(b.Type) || a.Type.Kind != b.Type.Kind || a.Type.Name != b.Type.Name ||
		a.Offset+a.Type.Size != b.Offset || strings.Contains(a.Type.Name, ".") { // a named type says what it is
		return false
	}
	if len(a.Name) == 1 && len(b.Name) == 1 && a.Type.Kind != reflect.Int { // of ints they are places: x and y
		return a.Name[0]+1 == b.Name[0] && a.Name != "_"
	}
	x, m := numbered(a.Name)
	y, n := numbered(b.Name)
	if m >= 0 && n == m+1 {
		return x == y
	}
	v, w := secrets.Words(a.Name), secrets.Words(b.Name)
	return a.Type.Size == 8 && a.Type.Kind != reflect.Int && slices.ContainsFunc(halves, func(h []string) bool {
		return slices.Contains(v, h[0]) && slices.Contains(w, h[1]) || slices.Contains(v, h[1]) && slices.Contains(w, h[0])
	})
}

// numbered takes the number off the end of a name; -1 if there is none.
func numbered(name string) (stem string, n int) {
	stem = strings.TrimRight(name, "0123456789")
	n, err := strconv.Atoi(name[len(stem):])
	if err != nil {
		return name, -1
	}
	return stem, n
}

// letters are what fields are called that have a letter of a text.
var letters = []string{"b", "byte", "c", "ch", "chr", "char", "character", "l", "letter", "lit", "r", "rune"}

// isLetter tells a byte or a rune that is called so.
func isLetter(f symbols.Field) bool {
	return isByteOrRune(f.Type) && slices.Contains(letters, strings.ToLower(f.Name))
}

func isByteOrRune(t *symbols.Type) bool {
	return t != nil && (t.Kind == reflect.Uint8 || t.Kind == reflect.Int32) && t.Name == t.Kind.String()
}

// nodeOf gives the only field of a struct that is no pointer to another of its type, if it is a number: a list, or a
// tree, of numbers is a slice of them. -1 if it is no such struct.
func nodeOf(t *symbols.Type) int {
	number, pointers := -1, 0
	for i, f := range t.Fields() {
		switch inner := f.Type; {
		case inner == nil:
			return -1
		case inner.Kind == reflect.Array && inner.Elem() != nil && isTo(inner.Elem(), t), isTo(inner, t):
			pointers++
		case number < 0 && isNumber(inner):
			number = i
		default:
			return -1
		}
	}
	if pointers == 0 {
		return -1
	}
	return number
}

func isTo(pointer, t *symbols.Type) bool {
	elem := pointer.Elem()
	return pointer.Kind == reflect.Pointer && elem != nil && (elem == t || elem.Name == t.Name)
}

// elementOf tells of the part of a map's slot that is the element whether it may be a letter: a byte or a rune whose
// key is a number says where in a text it stands. t is what keys and elements lie in, side by side or in two arrays.
func elementOf(t *symbols.Type, name string) bool {
	if name != "elem" && name != "elems" && name != "values" {
		return false
	}
	var key, elem *symbols.Type
	for _, f := range t.Fields() {
		typ := f.Type
		if typ != nil && typ.Kind == reflect.Array {
			typ = typ.Elem()
		}
		switch {
		case f.Name == name:
			elem = typ
		case f.Name == "key" || f.Name == "keys":
			key = typ
		}
	}
	return isNumber(key) && isByteOrRune(elem)
}

// hashes are words in names of what a hash function made of a text.
var hashes = []string{"hash", "hashed", "checksum", "crc", "digest", "fingerprint", "fnv", "xxhash", "murmur"}

// isHash tells a field that has what a hash function made of something: who guesses a short text finds it by that. Of
// Go's own structures those of sync.Map and package unique have such, and their seeds.
func isHash(in place, t *symbols.Type, f symbols.Field) bool {
	if !isInteger(f.Type) || f.Type.Size < 4 {
		return false
	}
	switch PackageOf(t.Name) {
	case "internal/sync", "internal/concurrent", "unique":
		return f.Name == "seed" || f.Name == "hash"
	}
	return !ofRuntime(in, t) && slices.ContainsFunc(secrets.Words(f.Name), func(w string) bool {
		return slices.Contains(hashes, w)
	})
}

// namesSecret tells whether a number's type has a secret's name: type PIN int.
func namesSecret(at place, t *symbols.Type) bool {
	return strings.Contains(t.Name, ".") && !ofRuntime(at, t) && secrets.Name(ownName(t.Name))
}
