package symbols

import "strings"

// IsUnnamed tells a type that is written with its parts, as *T and map[K]V are, from one that was given a name.
func IsUnnamed(name string) bool {
	switch {
	case strings.HasPrefix(name, "map[") || strings.HasPrefix(name, "chan ") || strings.HasPrefix(name, "func("):
		return true
	case strings.HasPrefix(name, "struct {") || strings.HasPrefix(name, "interface {"):
		return true
	case strings.Contains(name, "go.shape."): // the compiler's, for generic functions
		return true
	}
	return strings.IndexByte("*[<", name[0]) >= 0
}
