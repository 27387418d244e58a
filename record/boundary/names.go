package boundary

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// PackageOf is the import path of a function.
func PackageOf(fn string) string {
	pkg, _, _ := Parts(fn)
	return pkg
}

// Parts takes a function's name apart, as Go prints it: "net/http.(*conn).serve" is of receiver "conn". A closure's
// name has all of it behind the receiver: "serve.func1". Type arguments stay with the receiver or the name.
func Parts(fn string) (pkg, receiver, name string) {
	// Type arguments may have paths of their own.
	bare := fn
	if i := strings.IndexByte(fn, '['); i >= 0 {
		bare = fn[:i]
	}
	dot := strings.LastIndexByte(bare, '/') + 1
	for first := true; ; first = false {
		next := strings.IndexByte(bare[dot:], '.')
		switch {
		case next < 0 && first:
			return "", "", fn
		case !first && (next < 0 || !ofPath(bare[dot:dot+next])):
			dot--
		default:
			dot += next + 1
			continue
		}
		break
	}
	pkg, name = fn[:dot], fn[dot+1:]
	if rest, ok := strings.CutPrefix(name, "(*"); ok {
		if end := strings.Index(rest, ")."); end >= 0 {
			return pkg, rest[:end], rest[end+2:]
		}
	}
	at := strings.IndexByte(name, '.')
	if open := strings.IndexByte(name, '['); open >= 0 && (at < 0 || open < at) {
		if end := strings.LastIndexByte(name, ']'); end > open && end+1 < len(name) && name[end+1] == '.' {
			at = end + 1
		} else {
			at = -1
		}
	}
	// Of a function without receiver what follows a dot is a closure's: func1, gowrap2, deferwrap1, or a number.
	if at < 0 || isClosure(name[at+1:]) {
		return pkg, "", name
	}
	return pkg, name[:at], name[at+1:]
}

// ofPath tells whether what follows a dot is still of an import path: yaml.v3, nats.go. No function or type is called
// go, and few are called v3.
func ofPath(part string) bool {
	digits, ok := strings.CutPrefix(part, "v")
	return part == "go" || ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

func isClosure(rest string) bool {
	for _, prefix := range []string{"func", "gowrap", "deferwrap"} {
		if n := strings.TrimPrefix(rest, prefix); n != rest && n != "" && n[0] >= '0' && n[0] <= '9' {
			return true
		}
	}
	return rest == "" || rest[0] >= '0' && rest[0] <= '9'
}

// exported tells whether a name is one that other packages may use; a closure's isn't.
func exported(name string) bool {
	r, _ := utf8.DecodeRuneInString(name)
	return unicode.IsUpper(r) && !strings.Contains(strings.SplitN(name, "[", 2)[0], ".") && !strings.HasSuffix(name, "-fm")
}

// Fits tells whether a function's name fits a pattern: a star stands for any text, slashes too.
func Fits(pattern, name string) bool {
	if pattern == name {
		return true
	}
	flat := strings.NewReplacer("/", "\x00", "[", "\x01", "]", "\x02", "(*", "\x03")
	ok, err := path.Match(flat.Replace(pattern), flat.Replace(name))
	return ok && err == nil
}
